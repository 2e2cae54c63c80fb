import numpy as np
import pytest

from monitor.potency.applicability import ApplicabilityDomain
from monitor.potency.calibration import Calibration, Interval, Platt, conformal_offset, logistic


def test_the_offset_is_the_finite_sample_quantile_of_what_lies_outside() -> None:
    truth = np.arange(1.0, 10.0)
    nothing = np.zeros(9)
    # the intervals [0, 0] miss the truths by 1 to 9; ceil(10 * 0.8) = 8
    assert conformal_offset(truth, nothing, nothing, 0.8) == 8.0
    assert conformal_offset(-truth, nothing, nothing, 0.8) == 8.0


def test_too_wide_intervals_are_narrowed() -> None:
    truth = np.zeros(99)
    assert conformal_offset(truth, truth - 5.0, truth + 5.0, 0.9) == -5.0


def test_too_few_frames_for_the_coverage_take_the_widest() -> None:
    truth = np.array([1.0, 2.0, 3.0])
    assert conformal_offset(truth, np.zeros(3), np.zeros(3), 0.99) == 3.0


@pytest.mark.parametrize("seed", range(3))
def test_new_truths_lie_within_the_widened_intervals_as_often_as_asked(seed: int) -> None:
    random = np.random.default_rng(seed)
    held_out, new = random.normal(0.0, 10.0, (2, 2000))
    offset = conformal_offset(held_out, np.full(2000, -3.0), np.full(2000, 3.0), 0.9)
    assert (np.abs(new) <= 3.0 + offset).mean() == pytest.approx(0.9, abs=0.03)


def test_rows_of_one_flask_count_together() -> None:
    """Nine flasks miss by 1 to 9; the one that misses by 9 has a thousand frames, which say it once."""
    miss = np.concatenate([np.arange(1.0, 9.0), np.full(1000, 9.0)])
    unit = np.array([f"flask-{number}" for number in range(8)] + ["flask-8"] * 1000)
    nothing = np.zeros(len(miss))
    assert conformal_offset(miss, nothing, nothing, 0.8, unit) == 8.0
    assert conformal_offset(miss, nothing, nothing, 0.8) == 9.0


def test_too_few_flasks_for_the_coverage_take_the_widest() -> None:
    unit = np.array(["a", "a", "b"])
    assert conformal_offset(np.array([1.0, 2.0, 5.0]), np.zeros(3), np.zeros(3), 0.9, unit) == 5.0


def test_new_flasks_lie_within_the_widened_intervals_as_often_as_asked() -> None:
    random = np.random.default_rng(1)

    def flasks(count: int) -> tuple[np.ndarray, np.ndarray]:
        frames = random.integers(1, 40, count)
        unit = np.repeat(np.arange(count), frames)
        return random.normal(0.0, 10.0, count)[unit] + random.normal(0.0, 1.0, len(unit)), unit.astype(str)

    truth, unit = flasks(400)
    offset = conformal_offset(truth, np.zeros(len(truth)), np.zeros(len(truth)), 0.9, unit)
    new, which = flasks(400)
    inside = [(np.abs(new[which == name]) <= offset).mean() for name in np.unique(which)]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.03)


def test_margins_become_the_probabilities_they_came_from() -> None:
    random = np.random.default_rng(0)
    margin = random.normal(0.0, 2.0, 20000)
    truth = (random.random(20000) < logistic(0.5 * margin - 1.0)).astype(float)
    found = Platt.fit(margin, truth)
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.intercept == pytest.approx(-1.0, abs=0.05)


def test_perfectly_told_apart_classes_give_finite_probabilities() -> None:
    margin = np.array([-3.0, -2.0, 2.0, 3.0])
    found = Platt.fit(margin, np.array([0.0, 0.0, 1.0, 1.0]))
    probability = found.applied(margin)
    assert np.isfinite(probability).all()
    assert (np.diff(probability) > 0.0).all()


def test_open_classes_hold_the_true_one_as_often_as_asked_and_are_never_empty() -> None:
    random = np.random.default_rng(0)
    margin = random.normal(0.0, 2.0, 4000)
    truth = (random.random(4000) < logistic(margin)).astype(float)
    unit = np.arange(4000).astype(str)
    found = Platt.fit(margin[:2000], truth[:2000]).with_sets(margin[:2000], truth[:2000], 0.9, unit[:2000])
    opened = found.classes(found.applied(margin[2000:]))
    right = np.where(truth[2000:] > 0.5, opened[:, 1], opened[:, 0])
    assert opened.any(axis=1).all()
    assert right.mean() == pytest.approx(0.9, abs=0.03)


def test_an_interval_keeps_what_the_quantity_can_be() -> None:
    found = Interval(coverage=0.9, offset=5.0, lowest=0.0).applied(np.array([[2.0, 3.0, 4.0]]))
    assert found.tolist() == [[0.0, 3.0, 9.0]]
    narrowed = Interval(coverage=0.9, offset=-5.0).applied(np.array([[2.0, 3.0, 4.0]]))
    assert narrowed.tolist() == [[3.0, 3.0, 3.0]]


def test_a_calibration_comes_back_from_its_text() -> None:
    rows = np.random.default_rng(0).normal(50.0, 3.0, (400, 3))
    calibration = Calibration(
        intervals={"IDO": Interval(coverage=0.9, offset=-1.5)},
        probabilities={"PD-L1": Platt(slope=1.2, intercept=-0.1)},
        familiarity=ApplicabilityDomain.fit(["a", "b", "c"], rows, 0.05),
    )
    again = Calibration.model_validate_json(calibration.model_dump_json())
    assert again == calibration
    assert again.familiarity.distance(rows[0]) == calibration.familiarity.distance(rows[0])
    assert again == calibration
