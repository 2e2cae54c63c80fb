"""The price of the false-alarm budget, as `cellvigil doctor` tells it."""

from services.doctor.alarms import check_alarms
from services.doctor.check import Level
from services.settings import load_settings


def test_the_default_budget_and_its_price_are_told() -> None:
    (check,) = check_alarms(load_settings(None, {}))

    assert (check.name, check.level) == ("alarms", Level.OK)
    assert check.what.startswith("1 false potency alarm in 7 days over 24 flasks: ")
    assert "after 16 frames (4.0 h) on average" in check.what


def test_fewer_flasks_cost_less() -> None:
    culture = {"culture": {"false_alarms": {"alarms": 2.0, "days": 30.0, "flasks": 1, "frame_interval_s": 3600.0}}}
    (check,) = check_alarms(load_settings(None, culture))

    assert check.what.startswith("2 false potency alarms in 30 days over 1 flask: ")
    assert "after 9 frames (8.5 h) on average" in check.what
