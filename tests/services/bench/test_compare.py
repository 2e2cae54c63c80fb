"""Two reports side by side: what differs, by how much, and whether that means anything."""

import copy
import io
import json
from pathlib import Path

import pytest
from cases.bench_report import report
from rich.console import Console

from monitor.errors import SettingsError
from services.bench.compare import BEYOND, read_report, show_comparison, values_of

KEPT = sorted((Path(__file__).parents[3] / "benchmarks" / "results").rglob("*.json"))


def written(folder: Path, name: str, found: object) -> Path:
    file = folder / name
    file.write_text(json.dumps(found), encoding="utf-8")
    return file


def compared(first: Path, second: Path) -> str:
    stream = io.StringIO()
    assert show_comparison(first, second, Console(file=stream, width=200)) == 0
    return stream.getvalue()


def row(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.strip(" │").startswith(name))


def test_report_and_itself_differ_in_nothing(tmp_path: Path):
    file = written(tmp_path, "a.json", report())

    text = compared(file, file)

    assert "differ:" not in text
    assert text.count(BEYOND) == 1  # in the caption
    assert "1.000" in row(text, "stage network")


def test_machines_and_versions_that_differ_are_named(tmp_path: Path):
    other = copy.deepcopy(report())
    other["machine"] |= {"processor": "a loom", "load_before": 9.0, "packages": {"torch": "2.14.0"}}

    text = compared(written(tmp_path, "a.json", report()), written(tmp_path, "b.json", other))

    assert "processor: an abacus | a loom" in text
    assert "torch: 2.13.0 | 2.14.0" in text
    assert "load_before" not in text


def test_difference_beyond_the_spreads_is_marked_and_one_within_is_not(tmp_path: Path):
    other = copy.deepcopy(report())
    other["stages_ms"]["network"] = {"median": 40.0, "p5_p95": [39.0, 41.0]}
    other["stages_ms"]["decode"] = {"median": 15.5, "p5_p95": [14.5, 16.5]}

    text = compared(written(tmp_path, "a.json", report()), written(tmp_path, "b.json", other))

    assert BEYOND in row(text, "stage network") and "0.500" in row(text, "stage network")
    assert BEYOND not in row(text, "stage decode")
    assert "?" in row(text, "flasks per machine")


def test_frames_of_another_size_are_another_value(tmp_path: Path):
    other = copy.deepcopy(report())
    other["serving"] |= {"size_px": 512, "runs": "eager-cpu-fp32"}

    text = compared(written(tmp_path, "a.json", report()), written(tmp_path, "b.json", other))

    assert "only in one" in row(text, "stage network, 1024 px")
    assert "of the fastest engine of each: openvino-cpu-fp32 | eager-cpu-fp32" in text


def test_what_only_one_of_them_measured_is_said(tmp_path: Path):
    text = compared(written(tmp_path, "a.json", report(loaded=False)), written(tmp_path, "b.json", report()))

    assert "only in one" in row(text, "latency p99")


@pytest.mark.parametrize("file", [file for file in KEPT if "measures" in file.read_text()], ids=lambda file: file.stem)
def test_reports_of_the_scripts_are_read(file: Path):
    assert values_of(read_report(file))


@pytest.mark.parametrize(
    ("content", "words"), [("{}", "no report of a bench"), ("[1]", "no report of a bench"), ("frames", "not JSON")]
)
def test_other_files_are_refused_by_name(tmp_path: Path, content: str, words: str):
    file = tmp_path / "notes.json"
    file.write_text(content)

    with pytest.raises(SettingsError, match=f"notes.json is {words}"):
        read_report(file)


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"there.json cannot be read: No such file"):
        read_report(tmp_path / "there.json")
