import pytest
from pydantic import ValidationError

from monitor.culture.settings import CultureSettings


def test_an_alarm_of_optics_needs_more_than_one_frame_and_its_end_more_than_its_start() -> None:
    settings = CultureSettings()
    assert 1 < settings.raise_after_frames < settings.clear_after_frames


@pytest.mark.parametrize(
    "wrong",
    [
        {"window_frames": 0},
        {"baseline_frames": 3},
        {"baseline_sd": 0.0},
        {"cusum_reference_k": -1.0},
        {"false_alarms": {"alarms": 0.0}},
        {"false_alarms": {"alarms": 1e9}},
        {"baseline_frames": 50, "baseline_most": 40},
        {"focus_drop": 1.0},
        {"focus_drop": 0.0},
        {"min_cells": 0},
        {"raise_after_frames": 0},
        {"clear_after_frames": 0},
        {"window": 5},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CultureSettings(**wrong)  # type: ignore[arg-type]


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        CultureSettings().window_frames = 3  # type: ignore[misc]
