"""The benchmarks of engines and GPU run, and end with a report; their numbers here mean nothing."""

import ast
import importlib.metadata
import json
import os
import re
import runpy
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from monitor.network.checkpoint import SHIPPED, card_file, load_network
from monitor.synthetic.arrangement import Crowd
from monitor.synthetic.scene import SceneSpec, simulate_scene

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = [path for path in sorted(BENCHMARKS.glob("*.py")) if ".parse_args(" in path.read_text(encoding="utf-8")]
OF_VENDORS = {"torch_tensorrt", "tensorrt", "triton"}
"""Parts for GPUs that say so themselves where these are missing."""
MEASURE = {"name", "ratio", "low", "high", "peer", "peer_version", "repeats"}
BARE = """
import runpy, sys
for name in ("pydantic", "safetensors", "numba", "scipy", "skimage"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, "benchmarks")
runpy.run_path(sys.argv[0], run_name="__main__")
"""
HELP = """
import runpy, sys
sys.path.insert(0, "benchmarks")
for script in sys.argv[1:]:
    sys.argv = [script, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as ended:
        assert ended.code == 0, script
"""
"""Starts every script in one process: PyTorch is loaded once, not twenty times."""


def run(*words: str, json_file: Path, bare: bool = False) -> tuple[str, dict[str, Any]]:
    program = ["-c", BARE] if bare else []
    ended = subprocess.run(
        [sys.executable, *program, *words, "--json", str(json_file)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads(json_file.read_text(encoding="utf-8"))
    assert report["machine"]["packages"]["torch"] == torch.__version__
    assert all(set(row) >= MEASURE for row in report["measures"])
    return ended.stdout, report


def names_of(report: dict[str, Any]) -> set[str]:
    return {row["name"] for row in report["measures"]}


def test_every_script_starts_with_what_the_extra_brings() -> None:
    command = [sys.executable, "-c", HELP, *(str(path) for path in SCRIPTS)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)

    assert ended.returncode == 0, ended.stderr
    assert [line.split()[1] for line in ended.stdout.splitlines() if line.startswith("usage: ")] == [
        path.name for path in SCRIPTS
    ]


def test_every_package_that_a_script_imports_is_one_that_we_ask_for() -> None:
    asked = {re.split(r"[^\w.-]", name)[0].lower() for name in importlib.metadata.requires("cellvigil") or ()}
    of_module = importlib.metadata.packages_distributions()
    folders = (BENCHMARKS, ROOT, ROOT / "tests")
    own = {path.stem for folder in folders for path in folder.iterdir()}
    for path in BENCHMARKS.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        for module in {name.partition(".")[0] for name in plain | named} - own - sys.stdlib_module_names - OF_VENDORS:
            assert {name.lower() for name in of_module.get(module, [])} & asked, f"{path.name}: import {module}"


def test_the_published_peer_finds_what_its_maps_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    peers = runpy.run_path(str(BENCHMARKS / "peers.py"))
    rows, columns = np.mgrid[:160, :160]
    truth = np.zeros((160, 160), np.int32)
    for number, (row, column) in enumerate(((40, 40), (40, 110), (80, 115), (120, 40)), 1):
        truth[(rows - row) ** 2 + (columns - column) ** 2 <= 400] = number

    found = peers["hover_labels"](peers["hover_maps"](truth))

    assert found.max() == 4
    assert ((found > 0) == (truth > 0)).mean() > 0.98
    assert np.allclose(peers["instance_table"](truth)[0], (40, 40))


def test_hovernet_is_what_was_published() -> None:
    script = runpy.run_path(str(BENCHMARKS / "hovernet.py"))

    assert len(script["check"]()) == 3
    counted, side = script["tflop_per_megapixel"]()
    assert (round(counted, 2), side) == (9.97, 164)
    assert [round(script["millions"](branches), 2) for branches in ((2, 2), (2, 2, 5))] == [33.63, 37.64]


def test_part_that_takes_too_long_is_cut_off() -> None:
    script = runpy.run_path(str(BENCHMARKS / "device_clock.py"))

    with pytest.raises(script["OutOfTime"]), script["at_most"](0.05):
        while True:
            time.sleep(0.01)
    with script["at_most"](60.0):
        pass


def test_calls_are_timed_in_turns() -> None:
    script = runpy.run_path(str(BENCHMARKS / "device_clock.py"))
    seen: list[str] = []
    clock = script["Clock"]("cpu", warm=1, rounds=2, each=2)

    times = clock.in_turns({name: lambda name=name: seen.append(name) for name in "ab"}, at_most_s=60.0)

    assert "".join(seen) == "ab" + "aabb" + "bbaa"
    assert [len(some) for some in times.values()] == [2, 2]


def test_gpu_parts_run_dry_on_a_bare_machine(tmp_path: Path) -> None:
    parts = "network,layout,transfer,labels"
    said, report = run("benchmarks/gpu.py", "--dry", "--only", parts, json_file=tmp_path / "gpu.json", bare=True)

    assert names_of(report) >= {"gpu_graph", "gpu_channels_last", "gpu_pinned_2mb"}
    assert set(report["skipped"]) == {"labels"} and "not installed" in report["skipped"]["labels"]
    assert "skipped: not installed here" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_benchmark_says_that_there_is_no_gpu() -> None:
    ended = subprocess.run([sys.executable, "benchmarks/gpu.py"], cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert ended.returncode == 2
    assert ended.stderr.strip().count("\n") == 0 and "no GPU" in ended.stderr


@pytest.mark.slow
@pytest.mark.alone
def test_all_gpu_parts_run_dry(tmp_path: Path) -> None:
    _, report = run("benchmarks/gpu.py", "--dry", "--width", "0.125", json_file=tmp_path / "gpu.json")

    assert set(report["skipped"]) <= {"tensorrt"}
    measured = {"gpu_compiled", "gpu_of_roofline", "gpu_over_hovernet", "gpu_labels_over_network"}
    assert names_of(report) >= measured
    assert len(report["took_s"]) == 11


@pytest.mark.slow
@pytest.mark.alone
def test_engines_are_measured_with_their_errors(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed: pip install 'cellvigil[openvino]'")
    words = ("--side", "64", "--rounds", "1", "--threads", "1", "--engines", "eager,openvino")
    _, report = run("benchmarks/engines.py", *words, json_file=tmp_path / "engines.json")

    assert names_of(report) == {"cpu_fp32", "cpu_fp32_of_matmul_peak"}
    assert report["engines"]["openvino"]["against_eager"]["f1"] > 0.99


def laboratory(folder: Path, card: dict[str, Any], *, kinds: tuple[str, ...]) -> tuple[int, int]:
    """Write a laboratory of one simulated field; return how many cells and nuclei it has."""
    scene = simulate_scene(3, SceneSpec((160, 192), 0.9, Crowd("single", (("spindle", 1.0),), 1500.0, 0.3)))
    planes = {"images": scene.pixels, "cells": scene.cells.astype(np.uint16), "nuclei": scene.nuclei.astype(np.uint16)}
    for kind in ("images", *kinds):
        (folder / kind).mkdir(parents=True)
        Image.fromarray(planes[kind]).save(folder / kind / "a.png")
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return int(scene.cells.max()), int(scene.nuclei.max())


CARD = {"modality": "phase contrast", "pixel_size_um": 0.9, "licence": "simulated", "truth": "both"}


def scored(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "benchmarks/laboratories.py", *words],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_laboratories_are_scored_one_by_one(tmp_path: Path) -> None:
    cells, nuclei = laboratory(tmp_path / "all" / "one", CARD, kinds=("cells", "nuclei"))
    laboratory(tmp_path / "all" / "two", CARD | {"truth": "nuclei"}, kinds=("nuclei",))
    ended = scored(str(tmp_path / "all"), "--json", str(tmp_path / "scores.json"))
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    one, two = report["laboratories"]
    assert (one["laboratory"], two["laboratory"]) == ("one", "two")
    assert one["cells"] == cells > 2
    assert one["nuclei"] == two["nuclei"] == nuclei > 2
    assert one["ap50"] == report["median_over_laboratories"]["ap50"]
    assert two["ap50"] is None
    assert two["cells"] == 0
    assert "two" in ended.stdout


@pytest.mark.parametrize(
    ("card", "kinds", "told"),
    [
        (CARD | {"truth": "cels"}, ("cells", "nuclei"), "card.json is not a laboratory's card"),
        (CARD, ("cells",), "has no truth for a.png"),
    ],
)
def test_a_laboratory_that_cannot_be_scored_says_what_to_mend(
    tmp_path: Path, card: dict[str, Any], kinds: tuple[str, ...], told: str
) -> None:
    laboratory(tmp_path / "one", card, kinds=kinds)
    ended = scored(str(tmp_path))
    assert ended.returncode == 1
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_without_a_laboratory_says_what_it_wants(tmp_path: Path) -> None:
    ended = scored(str(tmp_path))
    assert ended.returncode == 1
    assert "holds no laboratory" in ended.stderr


def test_a_mixture_goes_from_one_set_of_weights_to_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    mixed = runpy.run_path(str(BENCHMARKS / "mixtures.py"))["mixed"]
    first, second = SHIPPED, card_file(Path("laboratories"))
    one, other = (load_network(card)[0].state_dict()["encoder.stem.weight"] for card in (first, second))

    for share in (0.0, 0.25, 1.0):
        network, card = load_network(mixed(first, second, share, tmp_path))
        expected = share * one + (1.0 - share) * other
        assert torch.allclose(network.state_dict()["encoder.stem.weight"], expected, atol=2e-3)
        assert card.decode.confidence is None and card.decode.persistence == load_network(second)[1].decode.persistence
