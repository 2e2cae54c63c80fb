import json
from pathlib import Path

import pytest
from cases.culture_rows import frame_row
from cases.folded_state import folded

from monitor.culture.rows import CultureRow
from services.alarms.explanation import explain_alarm
from services.alarms.forecasting import show_forecasts


def sinking(number: int) -> CultureRow:
    row = frame_row(number, 100.0 - 0.5 * max(0, number - 20) + (number % 3 - 1.0))
    quality = row.quality.model_copy(update={"confluency": 0.2 + 0.005 * number})
    return row.model_copy(update={"quality": quality})


def test_every_flask_has_its_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [*(sinking(number) for number in range(60)), *(frame_row(number, flask="B2") for number in range(10))]
    folded(tmp_path, rows)
    assert show_forecasts(tmp_path, None, None, as_json=False) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("A1: potency will cross the floor of 70 % in 5 h (")
    assert "80 % confluent in" in first
    assert second == "B2: nothing can be said: no course that is steady enough"
    assert show_forecasts(tmp_path, "A1", None, as_json=True) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["potency"]["low"] <= 5.25 <= found["potency"]["high"]
    assert explain_alarm(tmp_path, "A1", "potency", as_json=False) == 0
    assert "potency will cross the floor" in capsys.readouterr().out


def test_the_floor_is_a_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folded(tmp_path, [sinking(number) for number in range(60)])
    other = tmp_path / "other.yaml"
    other.write_text("culture: {potency_floor: 75.0}")
    show_forecasts(tmp_path, None, other, as_json=False)
    assert "floor of 75 %" in capsys.readouterr().out


def test_a_name_that_a_spreadsheet_would_run_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folded(tmp_path, [frame_row(number, flask="-A1") for number in range(10)])
    show_forecasts(tmp_path, None, None, as_json=False)
    explain_alarm(tmp_path, "-A1", None, as_json=False)
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["-A1", "-A1"]
