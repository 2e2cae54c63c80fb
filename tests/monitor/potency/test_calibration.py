import numpy as np
import pytest

from monitor.potency.calibration import Calibration, Familiarity, conformal_offset


def rows(count: int = 400, features: int = 3, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(0.0, 1.0, (count, features)) * [1.0, 50.0, 0.01][:features] + [0.0, 1900.0, 0.3][:features]


def fitted(false_alarm: float = 0.01, **chosen: int) -> Familiarity:
    table = rows(**chosen)
    return Familiarity.fit([f"f{number}" for number in range(table.shape[1])], table, false_alarm)


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


def test_the_usual_frame_is_near_and_an_unusual_one_far() -> None:
    familiarity = fitted()
    assert familiarity.distance(np.array([0.0, 1900.0, 0.3])) < 0.3 * familiarity.limit
    for feature, scale in enumerate([1.0, 50.0, 0.01]):
        strange = np.array([0.0, 1900.0, 0.3])
        strange[feature] += 12.0 * scale
        assert familiarity.distance(strange) > familiarity.limit


@pytest.mark.parametrize("false_alarm", [0.01, 0.1])
def test_as_many_training_frames_are_beyond_the_limit_as_asked(false_alarm: float) -> None:
    familiarity = fitted(false_alarm)
    beyond = np.mean([familiarity.distance(row) > familiarity.limit for row in rows()])
    assert beyond == pytest.approx(false_alarm, abs=0.005)


def test_features_that_go_together_make_their_contradiction_strange() -> None:
    random = np.random.default_rng(0)
    size = random.normal(0.0, 1.0, 500)
    together = np.column_stack([size, size + random.normal(0.0, 0.1, 500)])
    familiarity = Familiarity.fit(["a", "b"], together, 0.01)
    assert familiarity.distance(np.array([2.0, 2.0])) < familiarity.limit
    assert familiarity.distance(np.array([2.0, -2.0])) > familiarity.limit


def test_a_feature_that_never_varied_is_finite_and_its_change_strange() -> None:
    table = rows()
    table[:, 2] = 0.3
    familiarity = Familiarity.fit(["a", "b", "c"], table, 0.01)
    assert np.isfinite(familiarity.limit)
    assert familiarity.distance(np.array([0.0, 1900.0, 0.31])) > familiarity.limit


def test_one_feature_is_enough() -> None:
    familiarity = fitted(features=1)
    assert familiarity.distance(np.array([9.0])) > familiarity.limit > familiarity.distance(np.array([0.0]))


def test_a_calibration_comes_back_from_its_text() -> None:
    calibration = Calibration(coverage=0.9, offset=-1.5, familiarity=fitted())
    again = Calibration.model_validate_json(calibration.model_dump_json())
    assert again == calibration
    row = rows()[0]
    assert again.familiarity.distance(row) == calibration.familiarity.distance(row)
