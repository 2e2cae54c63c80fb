import numpy as np
import pytest

from monitor.potency.applicability import ApplicabilityDomain


def rows(count: int = 400, features: int = 3, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(0.0, 1.0, (count, features)) * [1.0, 50.0, 0.01][:features] + [0.0, 1900.0, 0.3][:features]


def fitted(false_alarm: float = 0.01, **chosen: int) -> ApplicabilityDomain:
    table = rows(**chosen)
    return ApplicabilityDomain.fit([f"f{number}" for number in range(table.shape[1])], table, false_alarm)


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
    familiarity = ApplicabilityDomain.fit(["a", "b"], together, 0.01)
    assert familiarity.distance(np.array([2.0, 2.0])) < familiarity.limit
    assert familiarity.distance(np.array([2.0, -2.0])) > familiarity.limit


def test_a_feature_that_never_varied_is_finite_and_its_change_strange() -> None:
    table = rows()
    table[:, 2] = 0.3
    familiarity = ApplicabilityDomain.fit(["a", "b", "c"], table, 0.01)
    assert np.isfinite(familiarity.limit)
    assert familiarity.distance(np.array([0.0, 1900.0, 0.31])) > familiarity.limit


def test_one_feature_is_enough() -> None:
    familiarity = fitted(features=1)
    assert familiarity.distance(np.array([9.0])) > familiarity.limit > familiarity.distance(np.array([0.0]))


def ellipses(count: int, seed: int) -> np.ndarray:
    """Length, width and area of things whose area follows from the other two, as real outlines' does."""
    random = np.random.default_rng(seed)
    length, width = np.exp(random.normal(4.0, 0.5, count)), np.exp(random.normal(3.0, 0.3, count))
    return np.column_stack([length, width, 0.7 * length * width * np.exp(random.normal(0.0, 0.08, count))])


def test_a_wrong_scale_of_the_areas_is_seen_though_each_value_is_usual() -> None:
    familiarity = ApplicabilityDomain.fit(["length", "width", "area"], ellipses(2000, 0), 0.05)
    new = ellipses(2000, 1)
    assert familiarity.relations is not None
    assert (familiarity.distances(new) > familiarity.limit).mean() == pytest.approx(0.05, abs=0.02)
    scaled = new * [1.0, 1.0, 1.6]
    inside = (scaled[:, 2] > ellipses(2000, 0)[:, 2].min()) & (scaled[:, 2] < ellipses(2000, 0)[:, 2].max())
    assert inside.mean() > 0.95
    assert (familiarity.distances(scaled) > familiarity.limit).mean() > 0.9


def test_the_limit_holds_on_new_rows_also_where_features_are_many() -> None:
    random = np.random.default_rng(0)
    mixing = random.normal(0.0, 1.0, (30, 30))
    first, new = (np.exp(0.1 * random.normal(0.0, 1.0, (300, 30)) @ mixing) for _ in range(2))
    familiarity = ApplicabilityDomain.fit([f"f{number}" for number in range(30)], first, 0.1)
    assert familiarity.relations is None
    assert (familiarity.distances(new) > familiarity.limit).mean() == pytest.approx(0.1, abs=0.06)


def test_what_is_no_number_or_has_no_logarithm_is_infinitely_far() -> None:
    familiarity = ApplicabilityDomain.fit(["length", "width", "area"], ellipses(500, 0), 0.05)
    for strange in (np.nan, 0.0, -1.0, np.inf):
        row = ellipses(1, 2)[0]
        row[1] = strange
        assert familiarity.distance(row) == np.inf
        assert familiarity.strangest(row[None]) == ["width"]


def test_the_feature_that_does_not_fit_is_named() -> None:
    familiarity = ApplicabilityDomain.fit(["length", "width", "area"], ellipses(2000, 0), 0.05)
    assert familiarity.strangest(np.array([[np.exp(4.0), np.exp(6.5), 0.7 * np.exp(10.5)]])) == ["width"]
