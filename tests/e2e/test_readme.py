"""Every command of the README is run, in its order, by a user with a folder of frames."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cases.phantoms import phantom
from cases.simulated_flasks import simulated_flasks, write_assays, write_features
from cases.small_frames import write_small_frame

README = Path(__file__).resolve().parents[2] / "README.md"
REPORT = README.parent / "benchmarks" / "results" / "0.1.0" / "overhead.json"
MAKE = {"make demo", "make test"}
"""Run by `.ci/run` and by the demo's own test."""


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_readme_names_the_two_first_commands_and_nothing_unknown() -> None:
    found = commands()
    assert found[:2] == ["make demo", "make test"]
    assert all(line in MAKE or line.startswith("cellvigil ") for line in found)


@pytest.mark.slow
def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    for time_index in range(2):
        write_small_frame(tmp_path / "frames", "A1", "p1", time_index)
        write_small_frame(tmp_path / "series", "B2", "p1", time_index)
    _label_some_images(tmp_path)
    (tmp_path / "samples.csv").write_text("flask,donor,passage\nA1,D7,3\n")
    flasks = simulated_flasks(donors=6, flasks=4, frames=2)
    write_features(tmp_path / "frames.csv", flasks)
    write_features(tmp_path / "new.csv", simulated_flasks(donors=1, flasks=2, frames=2, seed=1))
    write_assays(tmp_path / "assays.csv", flasks)
    (tmp_path / "ours.yaml").write_text("segmenter: {weights: ours/segmenter.json}\n")
    shutil.copyfile(REPORT, tmp_path / "there.json")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CELLVIGIL__NOTIFIER__TERMINAL": "false"}
    environment["CELLVIGIL__DASHBOARD__PORT"] = "0"  # any that is free
    for line in commands():
        if line in MAKE:
            continue
        words = shlex.split(line)[1:]
        if words[0] == "run":
            words += ["--until-idle", "3"]
        if words[:2] == ["train", "segmenter"]:
            words += ["--steps", "2", "--simulated", "2"]
        if words[:2] == ["train", "reference"]:
            continue  # two frames of one flask are no three good runs; its own test has them
        if words[0] == "dashboard":
            _serves_until_it_is_told_to_end(words, tmp_path, environment)
            continue
        if words[0] == "bench" and "--compare" not in words:
            words += ["--quick", "--no-load", "--sizes", "128", "--rounds", "1", "--engines", "eager"]
        done = subprocess.run(
            [sys.executable, "-m", "services.main", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        # status says with 1 that no worker runs any more, doctor that this machine has a problem, explain that a frame
        # of a few cells has nothing to explain, recalibrate that there are too few results, and two healthy frames have
        # no alarm to acknowledge
        nothing = " ".join(words[:2]) in ("alarms explain", "alarms ack", "assay recalibrate")
        allowed = {0, 1} if nothing or words[0] in ("status", "doctor", "explain") else {0}
        assert done.returncode in allowed, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    rows = (tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 3
    assert len(list((tmp_path / "overlays").glob("*.png"))) == 2
    assert len(list((tmp_path / "frames").rglob("*.tif"))) == 4
    assert (tmp_path / "labels" / "a_cells.tif").exists()
    assert (tmp_path / "tables" / "cells.csv").read_text().count("\n") > 10
    assert (tmp_path / "tables" / "flasks.csv").exists()
    assert (tmp_path / "tables_of_images" / "frames.csv").read_text().count("\n") == 3
    assert (tmp_path / "ours" / "segmenter.json").exists()
    assert (tmp_path / "here.png").exists()
    assert (tmp_path / "predicted.csv").read_text(encoding="utf-8").count("\n") == 5
    assert (tmp_path / "potency" / "MANIFEST.json").exists()
    agreement = json.loads((tmp_path / "agreement.json").read_text(encoding="utf-8"))
    assert {name: found["results"] for name, found in agreement["biomarkers"].items()} == {"potency": 1}
    assert (tmp_path / "agreement.png").exists()
    assert not (tmp_path / "potency_2").exists()


def _label_some_images(folder: Path) -> None:
    (folder / "images").mkdir()
    (folder / "labelled").mkdir()
    for number, name in enumerate("abcd"):
        truth = phantom(number)
        tifffile.imwrite(folder / "images" / f"{name}.tif", truth.pixels)
        tifffile.imwrite(folder / "labelled" / f"{name}.tif", truth.pixels)
        tifffile.imwrite(folder / "labelled" / f"{name}_cells.tif", truth.cells.astype(np.uint16))


def _serves_until_it_is_told_to_end(words: list[str], home: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "services.main", *words]
    process = subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        address = next(word for line in process.stdout for word in line.split() if word.startswith("http"))
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"cellvigil" in answer.read()
        process.terminate()
        assert process.wait(20) == 0
