"""Kernels become machine code for GPUs that are not here. That it computes the right thing is for `test_triton`."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# not imported here: `test_triton` may have to set it to interpret before
if not importlib.util.find_spec("triton"):
    pytest.skip("triton is not installed: it comes with PyTorch for CUDA", allow_module_level=True)

pytestmark = pytest.mark.slow

RETURN_ADDRESSES = 16
"""Bytes on the stack for calls within the machine's own library, which divides."""
Forms = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module", params=[80, 90], ids=["A100", "H100"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Forms:
    """Return what came out for one GPU, in a process of its own: in this one Triton may be set to interpret."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    script = Path(__file__).with_name("build_kernels.py")
    said = subprocess.run(
        [sys.executable, script, str(request.param)], env=environment, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    forms: Forms = json.loads(said.stdout)
    return forms


def test_registers_do(built: Forms) -> None:
    assert {name: form for name, forms in built.items() for form in forms if form["spilled"] > RETURN_ADDRESSES} == {}


def test_nothing_waits_for_others_memory(built: Forms) -> None:
    """Sums need no order; a fence at each addition would empty the cache for every pixel."""
    assert sum(form["atomics"] for forms in built.values() for form in forms) > 0
    assert {name: form for name, forms in built.items() for form in forms if form["fences"]} == {}


def test_passes_between_convolutions_read_16_bytes_at_a_time(built: Forms) -> None:
    for form in built["_activate"] + built["_raise"]:
        assert form["wide"] >= 2
