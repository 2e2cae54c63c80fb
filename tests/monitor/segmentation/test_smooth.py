import numpy as np
import pytest
from scipy import ndimage

from monitor.segmentation.smooth import gaussian_where


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (70, 5), (40, 64), (90, 131)])
@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.0, 3.0, 3.3])
def test_it_is_the_gaussian_of_scipy_wherever_it_is_wanted(shape: tuple[int, int], sigma: float) -> None:
    random = np.random.default_rng(shape[1])
    values = random.normal(size=shape).astype(np.float32)
    expected = ndimage.gaussian_filter(values.astype(np.float64), sigma)
    for share in (0.0, 0.01, 0.2, 1.0):
        where = random.random(shape) < share
        smooth = gaussian_where(values, sigma, where)
        assert smooth.dtype == np.float32 and smooth.shape == shape
        assert smooth[where] == pytest.approx(expected[where], abs=2e-6)


def test_far_values_that_are_no_numbers_do_not_matter() -> None:
    values = np.ones((60, 300), np.float32)
    values[:, 200:] = np.nan
    where = np.zeros(values.shape, bool)
    where[10:50, 10:90] = True
    assert gaussian_where(values, 2.0, where)[where] == pytest.approx(1.0, abs=1e-6)


def test_a_map_that_is_not_laid_out_in_rows_is_the_same() -> None:
    values = np.random.default_rng(0).normal(size=(50, 70)).astype(np.float32)
    where = np.ones(values.shape, bool)
    turned = np.asfortranarray(values)
    assert np.array_equal(gaussian_where(turned, 1.5, where), gaussian_where(values, 1.5, where))


def test_without_a_width_it_is_a_copy() -> None:
    values = np.ones((4, 4), np.float32)
    same = gaussian_where(values, 0.0, values > 0)
    assert np.array_equal(same, values) and not np.shares_memory(same, values)
