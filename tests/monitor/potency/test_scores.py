import numpy as np
import pytest

from monitor.potency.density import DensityAdjustment
from monitor.potency.folds import grouped_folds, plain_folds
from monitor.potency.linear import logistic_regression, ridge
from monitor.potency.scores import auc, coverage_by_unit, expected_calibration_error, gain_over_dummy, r2


def test_the_mean_explains_nothing_and_the_truth_everything() -> None:
    truth = np.array([1.0, 2.0, 3.0])
    assert r2(truth, truth) == 1.0
    assert r2(truth, np.full(3, 2.0)) == 0.0
    assert r2(truth, truth[::-1]) < 0.0


def test_ties_count_half_in_the_ranking() -> None:
    assert auc(np.array([0.0, 1.0, 1.0]), np.array([0.5, 0.5, 0.9])) == 0.75
    assert np.isnan(auc(np.ones(3), np.arange(3.0)))


def test_calibrated_probabilities_have_a_small_error_and_confident_ones_a_large() -> None:
    random = np.random.default_rng(0)
    probability = random.random(20000)
    truth = (random.random(20000) < probability).astype(float)
    assert expected_calibration_error(truth, probability) < 0.015
    assert expected_calibration_error(truth, (probability > 0.5).astype(float)) == pytest.approx(0.25, abs=0.02)


def test_each_flask_counts_once_in_the_coverage() -> None:
    inside = np.array([True] * 99 + [False])
    unit = np.array(["crowded"] * 99 + ["sparse"])
    assert coverage_by_unit(inside, unit).tolist() == [1.0, 0.0]


def test_a_gain_comes_with_its_error_over_flasks() -> None:
    unit = np.repeat(["a", "b", "c", "d"], 10)
    gain, error = gain_over_dummy(np.zeros(40), np.repeat([1.0, 2.0, 3.0, 4.0], 10), unit)
    assert gain == 2.5
    assert error == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2.0)
    assert gain_over_dummy(np.zeros(3), np.ones(3), np.full(3, "a"))[1] == np.inf


def test_groups_are_never_divided_and_many_are_dealt_out_evenly() -> None:
    random = np.random.default_rng(0)
    group = np.array([f"d{number}" for number in random.integers(0, 40, 1000)])
    fold = grouped_folds(group)
    assert all(len(set(fold[group == name])) == 1 for name in set(group))
    assert np.bincount(fold).min() > 0.8 * 1000 / 5
    assert len(set(grouped_folds(np.array(["a", "b", "c"])))) == 3


def test_plain_folds_hold_equal_shares_of_each_class() -> None:
    target = np.array([0.0] * 60 + [1.0] * 40)
    fold = plain_folds(target, 0)
    assert np.bincount(fold).tolist() == [20] * 5
    assert [target[fold == number].sum() for number in range(5)] == [8.0] * 5


def test_linear_baselines_find_straight_lines() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(0.0, 1.0, (500, 3)) * [1.0, 100.0, 0.01]
    target = 3.0 * rows[:, 0] + 0.02 * rows[:, 1]
    assert r2(target[400:], ridge(rows[:400], target[:400], rows[400:], penalty=0.1)) > 0.999
    classes = (random.random(500) < 1.0 / (1.0 + np.exp(-target))).astype(float)
    found = logistic_regression(rows[:400], classes[:400], rows[400:])
    assert auc(classes[400:], found) > 0.85
    assert ((found > 0.0) & (found < 1.0)).all()


def test_what_density_does_is_taken_out_and_density_becomes_constant() -> None:
    random = np.random.default_rng(0)
    density = random.uniform(0.1, 0.9, 300)
    own = random.normal(0.0, 1.0, 300)
    rows = np.column_stack([5.0 * density + own, density])
    adjustment = DensityAdjustment.fit("confluency", density, rows)
    adjusted = adjustment.applied(density, rows)
    assert np.corrcoef(adjusted[:, 0], density)[0, 1] == pytest.approx(0.0, abs=1e-9)
    assert np.corrcoef(adjusted[:, 0], own)[0, 1] > 0.99
    assert np.ptp(adjusted[:, 1]) < 1e-9
