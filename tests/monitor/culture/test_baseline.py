import math

import numpy as np
import pytest

from monitor.culture.baseline import PRIOR_WEIGHT, PROVISIONAL_BELOW, Baseline


def learned(values: list[float], *, frames: int = 16, prior_sd: float = 1.0) -> Baseline:
    baseline = Baseline(frames, prior_sd)
    for value in values:
        baseline.learn(value)
    return baseline


def test_it_is_ready_after_as_many_values_as_asked() -> None:
    assert not learned([5.0] * 3, frames=4).ready
    assert learned([5.0] * 4, frames=4).ready


def test_its_centre_is_the_median() -> None:
    assert learned([1.0, 2.0, 900.0], frames=3).centre == 2.0


def test_it_stays_as_it_is_once_it_is_ready() -> None:
    ready = learned([1.0, 2.0, 3.0, 4.0, 50.0, 60.0], frames=4)
    assert ready.centre == 2.5
    assert ready.sd == learned([1.0, 2.0, 3.0, 4.0], frames=4).sd


def test_quiet_values_do_not_narrow_it_below_the_prior() -> None:
    assert learned([7.0] * 16, prior_sd=3.0).sd == 3.0


def test_restless_values_widen_it_as_far_as_their_number_goes() -> None:
    values = [0.0, 20.0] * 8
    own = 1.4826 * 10.0
    expected = math.sqrt((PRIOR_WEIGHT * 1.0 + 16 * own**2) / (PRIOR_WEIGHT + 16))
    assert learned(values).sd == pytest.approx(expected)


def test_one_wild_value_hardly_widens_it() -> None:
    random = np.random.default_rng(0).normal(100.0, 4.0, 15).tolist()
    assert learned([*random, 900.0], prior_sd=4.0).sd < 6.0


def test_values_are_told_in_deviations_from_the_centre() -> None:
    baseline = learned([10.0] * 16, prior_sd=2.0)
    assert baseline.standardised(4.0) == -3.0
    assert baseline.standardised(10.0) == 0.0


def test_a_short_baseline_is_provisional() -> None:
    assert Baseline(PROVISIONAL_BELOW - 1, 1.0).provisional
    assert not Baseline(PROVISIONAL_BELOW, 1.0).provisional


def test_before_the_first_value_the_prior_stands() -> None:
    assert (Baseline(4, 2.5).centre, Baseline(4, 2.5).sd) == (0.0, 2.5)
