"""Standardising while learning: what a stable series gives is what a chart expects, whatever its level and memory."""

import numpy as np
import pytest

from monitor.drift.cusum import LowerCusum
from monitor.drift.limits import limit_for
from monitor.drift.self_starting import SelfStarting

FRAMES_BETWEEN = 500.0


def chart(learn: int = 20, most: int = 100_000, prior_sd: float = 15.0) -> SelfStarting:
    return SelfStarting(learn=learn, most=most, prior_sd=prior_sd)


def series(
    random: np.random.Generator, memory: float, length: int, level: float = 80.0, sd: float = 15.0
) -> list[float]:
    steps = random.normal(size=length)
    values = np.empty(length)
    values[0] = steps[0]
    for index in range(1, length):
        values[index] = memory * values[index - 1] + np.sqrt(1.0 - memory**2) * steps[index]
    return (level + sd * values).tolist()


@pytest.mark.parametrize("memory", [0.0, 0.3, 0.5])
def test_the_false_alarm_budget_is_kept_with_memory_and_without(memory: float) -> None:
    random, limit = np.random.default_rng(int(10 * memory)), limit_for(FRAMES_BETWEEN, 0.5)
    alarms, values = 0, []
    for _ in range(30):
        standardise, cusum = chart(), LowerCusum(0.5, limit)
        for value in series(random, memory, 1000):
            found = standardise.standardised(value)
            if found is None:
                continue
            values.append(found)
            if cusum.update(found) is not None:
                alarms += 1
                cusum.reset()
    standard = np.array(values)
    assert (standard.mean(), standard.std()) == pytest.approx((0.0, 1.0), abs=0.03)
    # memory is taken a little too high rather than too low
    assert -0.1 < np.corrcoef(standard[1:], standard[:-1])[0, 1] < 0.01
    assert FRAMES_BETWEEN * alarms / standard.size < 1.2


def test_a_drop_of_one_deviation_is_found_as_fast_as_with_a_known_baseline() -> None:
    random, delays = np.random.default_rng(7), []
    for _ in range(120):
        standardise, cusum = chart(), LowerCusum(0.5, limit_for(16128.0, 0.5))
        good, bad = series(random, 0.0, 960), series(random, 0.0, 400, level=65.0)
        alarms = [
            index
            for index, value in enumerate(good + bad)
            if (found := standardise.standardised(value)) is not None and cusum.update(found) is not None
        ]
        delays += [index - len(good) + 1 for index in alarms[:1] if index >= len(good)]
    assert len(delays) >= 105  # the others had a false alarm before: 120 series are seven budgets long
    assert np.mean(delays) < 18.0  # 16.1 with the baseline known


def test_an_early_fall_does_not_become_the_usual() -> None:
    random, found = np.random.default_rng(8), 0
    for _ in range(30):
        standardise, cusum = chart(prior_sd=10.0), LowerCusum(0.5, limit_for(16128.0, 0.5))
        values = series(random, 0.0, 40, sd=8.0) + series(random, 0.0, 60, level=64.0, sd=8.0)
        standard = [standardise.standardised(value) for value in values]
        found += any(value is not None and cusum.update(value) is not None for value in standard)
    assert found >= 29


@pytest.mark.parametrize(("level", "sd"), [(80.0, 15.0), (-3.0, 0.01), (1e6, 400.0)])
def test_level_and_scale_leave_no_trace(level: float, sd: float) -> None:
    usual = chart(prior_sd=15.0)
    other = chart(prior_sd=sd)
    values = series(np.random.default_rng(1), 0.3, 200)
    expected = [usual.standardised(value) for value in values]
    found = [other.standardised(level + sd * (value - 80.0) / 15.0) for value in values]
    assert found[:20] == expected[:20] == [None] * 20
    assert found[20:] == pytest.approx(expected[20:], rel=1e-5, abs=1e-5)


def test_one_wild_frame_hardly_moves_what_comes_after() -> None:
    values = series(np.random.default_rng(2), 0.2, 300)
    clean, wild = chart(), chart()
    for index, value in enumerate(values):
        clean.standardised(value)
        wild.standardised(-1e6 if index == 100 else value)
    assert wild.centre == pytest.approx(clean.centre, abs=0.5)
    assert wild.sd == pytest.approx(clean.sd, rel=0.05)


def test_after_a_gap_the_value_before_says_nothing() -> None:
    values = series(np.random.default_rng(3), 0.7, 400)
    one, other = chart(), chart()
    for value in values:
        one.standardised(value)
        other.standardised(value)
    low = one.centre - 2.0 * one.sd
    one.standardised(low)
    other.standardised(low)
    following, alone = one.standardised(low), other.standardised(low, follows=False)
    assert following is not None and alone is not None
    assert alone == pytest.approx(-2.0, abs=0.3)
    assert following > alone + 0.5


def test_it_stops_learning() -> None:
    one = chart(most=60)
    for value in series(np.random.default_rng(4), 0.3, 80):  # some wait before they are learnt from
        one.standardised(value)
    learnt = one.centre, one.sd
    for value in series(np.random.default_rng(5), 0.3, 60):
        one.standardised(value + 10.0)
    assert (one.count, one.centre, one.sd) == (60, *learnt)


@pytest.mark.parametrize("wrong", [{"learn": 2}, {"learn": 30, "most": 20}, {"prior_sd": 0.0}])
def test_settings_that_cannot_be_learnt_with_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cannot be learnt"):
        SelfStarting(**({"learn": 20, "most": 100, "prior_sd": 1.0} | wrong))


def test_a_series_that_never_varies_gives_numbers() -> None:
    steady = chart()
    found = [steady.standardised(80.0) for _ in range(100)]
    assert found[20:] == pytest.approx([0.0] * 80, abs=1e-9)
