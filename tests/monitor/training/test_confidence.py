import numpy as np
import pytest

from monitor.network.checkpoint import CONFIDENCE_COLUMNS
from monitor.segmentation.confidence import believed
from monitor.training.confidence import fit_confidence, overlap


def fields(count: int, slope: float, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Fields of 80 outlines whose second column says how likely each is right."""
    random = np.random.default_rng(seed)
    columns = [random.normal(0.0, 1.0, (80, 4)) * [1.0, 0.1, 1.0, 2.0] for _ in range(count)]
    right = [random.random(80) < 1.0 / (1.0 + np.exp(-1.0 - slope * some[:, 1])) for some in columns]
    return columns, right


def test_what_tells_right_from_wrong_is_found_and_the_rest_is_near_nothing() -> None:
    found = fit_confidence(*fields(30, slope=30.0), missed=50)
    assert found is not None
    assert found.probability == pytest.approx(30.0, rel=0.15)
    assert found.intercept == pytest.approx(1.0, abs=0.3)
    for name in set(CONFIDENCE_COLUMNS) - {"probability"}:
        assert abs(getattr(found, name)) < 0.3


def test_leaving_out_gains_on_fields_that_were_not_learnt() -> None:
    found = fit_confidence(*fields(20, slope=30.0), missed=50)
    assert found is not None
    columns, right = fields(20, slope=30.0, seed=1)
    kept, truth = np.concatenate([believed(some, found) for some in columns]), np.concatenate(right)
    everything = truth.sum() / (truth.size + 50)
    some = (truth & kept).sum() / (truth.sum() + 50 + (~truth & kept).sum())
    assert some > everything + 0.02


def test_too_few_wrong_outlines_or_fields_say_nothing() -> None:
    columns, right = fields(30, slope=30.0)
    assert fit_confidence(columns, [np.ones_like(some) for some in right], missed=0) is None
    assert fit_confidence(columns[:3], right[:3], missed=0) is None


def test_overlap_is_with_the_true_cell_that_covers_most() -> None:
    truth, cells = np.zeros((2, 10, 10), np.int32)
    truth[2:6, 2:6], truth[6:9, 6:9] = 4, 9
    cells[2:6, 2:5], cells[0, 0] = 1, 3
    np.testing.assert_allclose(overlap(truth, cells, 4), [12 / 16, 0.0, 0.0, 0.0])
