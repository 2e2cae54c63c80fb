"""Pictures without matplotlib: told before anything is measured, with the extra that brings it."""

import sys
from pathlib import Path

import pytest
from rich.console import Console

from monitor.errors import SettingsError
from services.assays.reporting import report_command
from services.bench.measuring import bench
from services.bench.plan import make_plan
from services.figure import image_of, new_figure, plain
from services.training.plan import TrainingPlan
from services.training.segmenter import _draw


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)


def test_a_figure_is_as_large_as_it_was_asked_for() -> None:
    figure = new_figure(300, 200)
    plain(figure.subplots(), "title")
    picture = image_of(figure)

    assert (picture.mode, picture.size) == ("RGB", (300, 200))
    assert len(picture.getcolors(10_000)) > 2


def test_a_bench_says_it_before_it_measures(without: None, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cellvigil\[plot\]"):
        bench(make_plan(), tmp_path, json_file=None, plot_file=tmp_path / "here.png")


def test_a_report_says_it_before_it_prints(without: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError, match=r"cellvigil\[plot\]"):
        report_command([tmp_path], 30, None, tmp_path / "report.png")
    assert capsys.readouterr().out == ""


def test_training_goes_on_without_its_picture(without: None, tmp_path: Path) -> None:
    console = Console(record=True, width=200)
    _draw(TrainingPlan(folders=(), out=tmp_path), console)

    assert "no curves.png: the picture needs matplotlib" in console.export_text()
    assert list(tmp_path.iterdir()) == []
