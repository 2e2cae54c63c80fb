"""New intervals from later results: right on flasks they never saw, and refused where the old ones were good enough."""

import numpy as np
import pytest

from monitor.potency.agreement import Verdict
from monitor.potency.calibration import Interval
from monitor.potency.pooled import pooled
from monitor.potency.recalibration import Evidence, least_flasks, recalibrate

BEFORE = Interval(coverage=0.9, offset=1.0)


def evidence(flasks: int, *, shift: float, scale: float, per_flask: int = 1, seed: int = 0) -> Evidence:
    """Return simulated results that lie `shift` above the estimate, spread by `scale`; the trees say it by five."""
    random = np.random.default_rng([seed, flasks])
    unit = np.repeat(np.arange(flasks), per_flask)
    middle = random.normal(50.0, 10.0, flasks)[unit]
    truth = middle + shift + random.normal(0.0, scale, flasks)[unit] + random.normal(0.0, 0.1 * scale, len(unit))
    heads = np.array([-5.0, 0.0, 5.0])
    raw = [at + heads + random.normal(0.0, 0.5, (4, 1)) for at in middle]
    return Evidence(raw, truth, unit.astype(str))


def covered(given: Evidence, interval: Interval) -> float:
    answers = np.array([pooled(interval.applied(frames)) for frames in given.raw])
    return float(((given.truth >= answers[:, 0]) & (given.truth <= answers[:, 2])).mean())


@pytest.mark.parametrize(("shift", "scale"), [(8.0, 3.5), (0.0, 8.0), (0.0, 1.5)])
def test_new_flasks_lie_in_the_new_intervals_as_often_as_promised(shift: float, scale: float) -> None:
    new = evidence(400, shift=shift, scale=scale, seed=99)
    found = [recalibrate(evidence(40, shift=shift, scale=scale, seed=seed), BEFORE) for seed in range(12)]
    assert abs(covered(new, BEFORE) - 0.9) > 0.08
    assert np.mean([covered(new, one.interval) for one in found]) == pytest.approx(0.9, abs=0.03)
    assert np.mean([one.better for one in found]) >= 0.9


def test_an_interval_that_is_right_already_is_seldom_replaced() -> None:
    found = [recalibrate(evidence(30, shift=0.0, scale=3.65, seed=seed), BEFORE).better for seed in range(30)]
    assert np.mean(found) <= 0.2


def test_the_middle_moves_with_the_interval() -> None:
    given = evidence(60, shift=8.0, scale=2.0)
    found = recalibrate(given, BEFORE)
    assert found.interval.shift == pytest.approx(8.0, abs=1.0)
    assert found.before.bias == pytest.approx(-8.0, abs=1.0)
    assert found.after.bias == pytest.approx(0.0, abs=1.0)
    assert found.before.verdict is Verdict.TOO_NARROW
    assert found.after.verdict is Verdict.AGREES


def test_bounds_and_coverage_stay() -> None:
    bounded = Interval(coverage=0.9, offset=1.0, lowest=0.0, highest=150.0)
    found = recalibrate(evidence(30, shift=8.0, scale=2.0), bounded).interval
    assert (found.coverage, found.lowest, found.highest) == (0.9, 0.0, 150.0)
    assert found.applied(np.array([[148.0, 149.0, 149.5]]))[0].tolist() == [pytest.approx(150.0)] * 3


def test_results_of_one_flask_are_no_more_evidence_than_one() -> None:
    """One flask has two hundred results that are far off; the others agree."""
    calm = evidence(30, shift=0.0, scale=2.0)
    wild = Evidence([calm.raw[0]] * 200, np.full(200, calm.truth[0] + 80.0), np.full(200, "wild"))
    both = Evidence(
        [*calm.raw, *wild.raw], np.concatenate([calm.truth, wild.truth]), np.concatenate([calm.unit, wild.unit])
    )
    alone, with_wild = recalibrate(calm, BEFORE).interval, recalibrate(both, BEFORE).interval
    assert abs(with_wild.shift - alone.shift) < 1.0
    assert abs(with_wild.offset - alone.offset) < 3.0


def test_the_order_of_results_changes_nothing() -> None:
    given = evidence(25, shift=3.0, scale=3.0, per_flask=2)
    order = np.random.default_rng(0).permutation(len(given.truth))
    mixed = Evidence([given.raw[number] for number in order], given.truth[order], given.unit[order])
    one, other = recalibrate(given, BEFORE), recalibrate(mixed, BEFORE)
    assert one.interval == other.interval
    assert one.gain == pytest.approx(other.gain)


@pytest.mark.parametrize(("coverage", "flasks"), [(0.9, 20), (0.8, 20), (0.95, 20), (0.99, 100)])
def test_a_minimum_of_flasks_is_stated_and_kept(coverage: float, flasks: int) -> None:
    assert least_flasks(coverage) == flasks
    with pytest.raises(ValueError, match=f"{flasks} are needed"):
        recalibrate(evidence(flasks - 1, shift=8.0, scale=2.0), Interval(coverage=coverage, offset=0.0))


def test_a_shift_of_nothing_is_not_written_and_one_comes_back_from_its_text() -> None:
    """Models that were never recalibrated keep the digest that they were released with."""
    plain = Interval(coverage=0.9, offset=1.5)
    assert plain.model_dump_json() == '{"coverage":0.9,"offset":1.5,"lowest":null,"highest":null}'
    moved = Interval(coverage=0.9, offset=1.5, shift=-2.0)
    assert Interval.model_validate_json(moved.model_dump_json()) == moved
    assert moved.applied(np.array([[2.0, 3.0, 4.0]])).tolist() == [[-1.5, 1.0, 3.5]]
