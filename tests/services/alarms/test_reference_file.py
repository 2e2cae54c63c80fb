from pathlib import Path

import pytest
from cases.culture_rows import frame_row
from cases.folded_state import folded

from monitor.culture.reference import ReferenceTrajectory
from monitor.culture.rows import CultureRow
from monitor.errors import SettingsError
from services.alarms.reference_file import write_reference


def run(flask: str, shift: float, potency: float = 100.0) -> list[CultureRow]:
    """Return a run of thirty frames; its potency falls to the one given."""
    rows: list[CultureRow] = []
    for number in range(30):
        row = frame_row(number, 100.0 if number < 20 else potency, flask=flask)
        features = {"area_median": 1500.0 + 10.0 * shift + number, "confluency": 0.3}
        rows.append(row.model_copy(update={"features": features}))
    return rows


def test_good_runs_of_several_folders_become_one_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folded(tmp_path / "one", [*run("A1", 0.0), *run("B2", 1.0), *run("C3", 2.0, potency=60.0)])
    folded(tmp_path / "two", run("A1", 3.0))
    out = tmp_path / "reference.json"
    assert write_reference([tmp_path / "one", tmp_path / "two"], out, (), 2.0) == 0
    made = ReferenceTrajectory.read(out)
    assert made.made_of == ("one/A1", "one/B2", "two/A1")
    assert list(made.centre) == ["area_median"]
    assert made.hours == (1.0, 3.0, 5.0, 7.0)
    assert "1 features of 3 runs, hours 0 to 8" in capsys.readouterr().out


def test_named_runs_are_taken_whatever_alarmed_and_missing_ones_are_said(tmp_path: Path) -> None:
    folded(tmp_path / "one", [*run("A1", 0.0), *run("B2", 1.0), *run("C3", 2.0, potency=60.0)])
    out = tmp_path / "reference.json"
    write_reference([tmp_path / "one"], out, ("A1", "B2", "C3"), 2.0)
    assert ReferenceTrajectory.read(out).made_of == ("one/A1", "one/B2", "one/C3")
    with pytest.raises(SettingsError, match="no flask Z9"):
        write_reference([tmp_path / "one"], out, ("A1", "Z9"), 2.0)
    with pytest.raises(SettingsError, match="2 runs are too few"):
        write_reference([tmp_path / "one"], out, (), 2.0)
