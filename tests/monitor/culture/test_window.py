from datetime import timedelta

import pytest
from cases.culture_rows import estimate_of
from cases.sample_messages import NOON

from monitor.culture.window import RollingWindow
from monitor.messages import EstimateState, FrameEstimate


def filled(potencies: list[float | None], *, frames: int = 12, hours: float = 1.0) -> RollingWindow:
    window = RollingWindow(frames)
    for number, potency in enumerate(potencies):
        window.add(NOON + timedelta(hours=hours * number), estimate_of(potency))
    return window


def test_an_empty_window_says_nothing() -> None:
    found = RollingWindow(12).estimate()
    assert (found.potency, found.low, found.high, found.trend_per_day, found.n_frames) == (None, None, None, None, 0)


def test_it_holds_the_last_frames_only() -> None:
    found = filled([10.0, 20.0, 80.0, 90.0, 100.0], frames=3).estimate()
    assert (found.potency, found.n_frames) == (90.0, 3)


def test_potency_is_the_median_and_the_interval_the_mean_of_the_frames_own() -> None:
    found = filled([90.0, 100.0, 104.0]).estimate()
    assert found.potency == 100.0
    assert found.low == pytest.approx(98.0 - 10.0)
    assert found.high == pytest.approx(98.0 + 10.0)


def test_the_interval_always_holds_the_potency() -> None:
    window = RollingWindow(3)
    for potency, low, high in ((50.0, 49.0, 51.0), (50.0, 49.0, 51.0), (5.0, 4.0, 6.0)):
        window.add(NOON, FrameEstimate(state=EstimateState.OK, potency=potency, low=low, high=high))
    found = window.estimate()
    assert found.potency == 50.0
    assert found.low is not None and found.low <= 50.0
    assert found.high == 50.0


def test_frames_that_could_not_be_assessed_leave_it_as_it_is() -> None:
    assert filled([90.0, None, 100.0, None]).estimate() == filled([90.0, None, 100.0]).estimate()
    assert filled([None, None]).estimate().potency is None
    assert filled([90.0, None, 100.0, None]).estimate().n_frames == 2


def test_the_trend_is_in_points_per_day() -> None:
    assert filled([100.0, 99.0, 98.0, 97.0]).estimate().trend_per_day == pytest.approx(-24.0)
    assert filled([100.0, 99.0, 98.0]).estimate().trend_per_day is None
    assert filled([100.0] * 6).estimate().trend_per_day == 0.0


def test_one_wild_frame_does_not_make_a_trend() -> None:
    assert filled([100.0, 100.0, 100.0, 20.0, 100.0, 100.0]).estimate().trend_per_day == 0.0


def test_positions_of_one_time_point_have_no_trend_among_them() -> None:
    assert filled([100.0, 90.0, 80.0, 70.0, 60.0], hours=0.0).estimate().trend_per_day is None


def test_frames_of_too_few_fields_give_no_estimate() -> None:
    window = RollingWindow(3, min_fields=2)
    for number, position in enumerate(["p1", "p1"]):
        window.add(NOON + timedelta(hours=number), estimate_of(90.0), position)
    assert (window.estimate().potency, window.estimate().n_frames) == (None, 2)
    window.add(NOON + timedelta(hours=2), estimate_of(90.0), "p2")
    assert window.estimate().potency == 90.0
    for number in range(3, 6):
        window.add(NOON + timedelta(hours=number), estimate_of(90.0), "p2")
    assert window.estimate().potency is None
