import numpy as np
import pytest

from monitor.potency.familiarity import Familiarity


def rows(count: int = 400, features: int = 3, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(0.0, 1.0, (count, features)) * [1.0, 50.0, 0.01][:features] + [0.0, 1900.0, 0.3][:features]


def fitted(false_alarm: float = 0.01, **chosen: int) -> Familiarity:
    table = rows(**chosen)
    return Familiarity.fit([f"f{number}" for number in range(table.shape[1])], table, false_alarm)


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
