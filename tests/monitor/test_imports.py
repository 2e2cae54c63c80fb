"""What can be imported without waiting for torch; the plainest modules are in tests/test_layers.py."""

import subprocess
import sys

import pytest

LIGHT = [
    "monitor.culture.state",
    "monitor.pipeline",
    "monitor.drift.cusum",
    "monitor.potency.model",
    "monitor.frames.reader",
    "monitor.api",
]


@pytest.mark.parametrize("module", LIGHT)
def test_module_imports_neither_torch_nor_lightgbm(module: str):
    question = f"import sys, {module}; print([name for name in ('torch', 'lightgbm') if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("asked", ["", "monitor.__version__", "monitor.FrameRejected", "dir(monitor)"])
def test_importing_the_library_imports_nothing_but_itself(asked: str):
    question = (
        f"import sys; before = set(sys.modules); import monitor; {asked or 'pass'}; print(*set(sys.modules) - before)"
    )

    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True, timeout=60)

    others = {name.partition(".")[0] for name in done.stdout.split()} - set(sys.stdlib_module_names)
    assert others == {"monitor"}
