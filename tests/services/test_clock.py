"""A clock that is led waits for whoever leads it."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.errors import SettingsError
from services.clock import PacedClock, SystemClock, lead_clock, make_clock
from services.settings import ClockSettings

START = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_clock_without_a_leader_stands_at_its_origin(tmp_path: Path) -> None:
    clock = PacedClock(tmp_path / "clock.json", START, 3600.0)

    assert clock.now() == START


def test_a_led_clock_runs_and_stops_where_it_was_told_to(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    clock = PacedClock(file, START, 3600.0)
    lead_clock(file, START, START + HOUR)
    first = clock.now()
    time.sleep(0.02)

    assert START < first < clock.now() < START + HOUR
    lead_clock(file, START, START + timedelta(seconds=1))
    time.sleep(0.02)
    assert clock.now() == START + timedelta(seconds=1)
    lead_clock(file, START + HOUR, START + 2 * HOUR)
    assert START + HOUR <= clock.now() < START + 2 * HOUR


def test_the_settings_choose_the_clock(tmp_path: Path) -> None:
    assert isinstance(make_clock(ClockSettings()), SystemClock)
    led = ClockSettings(speed=10.0, origin=START, pace=tmp_path / "clock.json")
    assert isinstance(make_clock(led), PacedClock)
    with pytest.raises(SettingsError, match=r"clock\.origin"):
        make_clock(ClockSettings(speed=10.0))
