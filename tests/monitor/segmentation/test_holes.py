import numpy as np
import pytest
from scipy import ndimage

from monitor.segmentation.holes import without_holes


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (37, 52)])
def test_parts_of_the_background_below_the_limit_are_filled(shape: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(shape[1]).random(shape) < share
    for limit in (0.0, 1.5, 4.0, 12.0, 1e9):
        parts, count = ndimage.label(~mask)
        area = np.bincount(parts.ravel(), minlength=count + 1)
        expected = mask | ((area < limit)[parts] & ~mask)
        assert np.array_equal(without_holes(mask, limit), expected)


def test_holes_that_touch_over_a_corner_are_two() -> None:
    mask = np.ones((5, 5), bool)
    mask[1, 1] = mask[2, 2] = False
    assert without_holes(mask, 2.0).all()
    mask[1, 2] = False
    assert np.array_equal(without_holes(mask, 3.0), mask)
    assert without_holes(mask, 3.5).all()


def test_the_mask_that_was_given_stays_as_it_was() -> None:
    mask = np.ones((3, 3), bool)
    mask[1, 1] = False
    without_holes(mask, 10.0)
    assert not mask[1, 1]
