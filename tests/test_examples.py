"""The examples and the Python of the README run as a user runs them, on simulated frames, and say what they should."""

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases.finished_run import record_run
from cases.recorded_flasks import make_model
from cases.simulated_flasks import simulated_flasks, write_assays, write_features
from scipy import ndimage

import monitor
from monitor.synthetic.culture import Culture, CultureSpec
from services.chain.simulated_file import write_frame

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
MOST_LINES = 40


def run(*words: str | Path, cwd: Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "error", *words], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames of one flask."""
    folder = tmp_path_factory.mktemp("frames")
    culture = Culture(CultureSpec(flask="A1", seed=7))
    for number in range(2):
        write_frame(
            culture.frame("p1", number), folder / "A1" / "p1" / f"{culture.acquired_at(number):%Y%m%dT%H%M%SZ}.tif"
        )
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "potency")


def test_every_example_is_short_and_has_a_test():
    scripts = {file.stem: file.read_text(encoding="utf-8") for file in EXAMPLES.glob("*.py")}

    assert len(scripts) == 5
    assert all(text.count("\n") < MOST_LINES for text in scripts.values())
    assert {f"test_{name}" for name in scripts} <= set(globals())


def test_segment_an_array(tmp_path: Path):
    said = run(EXAMPLES / "segment_an_array.py", cwd=tmp_path)

    cells, truth = map(int, re.findall(r"(\d+) cells.*?, (\d+) and", said)[0])
    assert truth > 10
    assert abs(cells - truth) <= 0.2 * truth
    assert 500.0 < float(re.findall(r"median area (\d+) um2", said)[0]) < 5000.0


def test_features_of_a_folder(frames: Path, tmp_path: Path):
    (frames / "A1" / "p1" / "broken.tif").write_bytes(b"no image")

    said = run(EXAMPLES / "features_of_a_folder.py", frames, "table.csv", cwd=tmp_path)

    (frames / "A1" / "p1" / "broken.tif").unlink()
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert "broken.tif: " in said and "2 frames" in said
    assert [row["flask"] for row in rows] == ["A1", "A1"]
    assert all(row["state"] == "ok" and int(row["n_cells"]) > 10 and float(row["area_median"]) > 300.0 for row in rows)


def test_train_potency(tmp_path: Path):
    flasks = simulated_flasks(donors=6, flasks=4, frames=2)
    write_features(tmp_path / "frames.csv", flasks)
    write_assays(tmp_path / "assays.csv", flasks)

    said = run(EXAMPLES / "train_potency.py", "frames.csv", "assays.csv", "ours", cwd=tmp_path)

    error, dummy = map(float, re.findall(r"RMSE ([\d.]+) .* has ([\d.]+)", said)[0])
    middle, low, high = map(float, re.findall(r"IDO ([\d.]+) pg/mL, with 90 % between ([\d.]+) and ([\d.]+)", said)[0])
    assert error < dummy
    assert low < middle < high
    assert (tmp_path / "ours" / "MANIFEST.json").is_file()


def test_read_a_finished_run(tmp_path: Path):
    record_run(tmp_path)

    said = run(EXAMPLES / "read_a_finished_run.py", "state", cwd=tmp_path)

    assert re.search(r"^A1 ", said, re.MULTILINE) and re.search(r"^B2 ", said, re.MULTILINE)
    assert "units: potency in % of the reference lot" in said
    assert re.search(r"not_assessable +\d", said)
    assert re.search(r"\d+ cells, median area \d{3,4} um2", said)


def test_add_an_own_feature(frames: Path, tmp_path: Path):
    said = run(EXAMPLES / "add_an_own_feature.py", frames, "table.csv", cwd=tmp_path)

    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert said.count("the rim of the median cell") == 2
    by_hand = [rim_by_hand(file) for file in sorted(frames.rglob("*.tif"))]
    assert [float(row["rim_brightness_median"]) for row in rows] == pytest.approx(by_hand)
    assert by_hand[0] != by_hand[1]


def rim_by_hand(file: Path) -> float:
    """The same cell by cell, with an erosion of each."""
    frame = monitor.read_frame(file)
    found = monitor.segment_image(frame.pixels, frame.pixel_size_um)
    whole = monitor.measure(frame, found, families=()).whole
    ratios = []
    for number in range(1, found.n_cells + 1):
        cell = found.cells == number
        middle = ndimage.binary_erosion(cell, np.ones((5, 5)), border_value=1)
        ratios.append(frame.pixels[cell & ~middle].mean() / frame.pixels[middle].mean())
    return float(np.median(np.array(ratios)[whole]))


@pytest.mark.slow
def test_python_of_the_readme(frames: Path, model: Path, tmp_path: Path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.tif").write_bytes(next(frames.rglob("*.tif")).read_bytes())
    shutil.copytree(model, tmp_path / "potency")
    record_run(tmp_path)

    said = run("-c", code, cwd=tmp_path)

    assert re.search(r"^\d+ True None$", said, re.MULTILINE)
    assert "state=<EstimateState." in said
    assert re.search(r"A1 .*2026-03-10", said)
