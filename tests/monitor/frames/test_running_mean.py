"""The running mean: scipy's values, in every corner."""

import numpy as np
import pytest
from scipy import ndimage

from monitor.frames.running_mean import running_mean


@pytest.mark.parametrize(
    ("shape", "window_px"),
    [((127, 130), 31), ((33, 70), 31), ((5, 9), 3), ((64, 64), 63), ((3, 50), 3), ((2, 2), 3), ((7, 12), 1)],
)
def test_it_is_the_mean_of_a_mirrored_window(shape: tuple[int, int], window_px: int) -> None:
    plane = (1000.0 + np.random.default_rng(0).normal(0.0, 50.0, shape)).astype(np.float32)

    expected = ndimage.uniform_filter(plane, window_px, mode="mirror")

    np.testing.assert_allclose(running_mean(plane, window_px), expected, rtol=2e-7)


def test_a_plane_that_is_not_contiguous_is_read_right() -> None:
    plane = np.random.default_rng(1).random((40, 60)).astype(np.float32)

    np.testing.assert_array_equal(running_mean(plane.T[::2], 5), running_mean(plane.T[::2].copy(), 5))


@pytest.mark.parametrize(("shape", "window_px"), [((20, 20), 4), ((1, 20), 3), ((20, 5), 11)])
def test_a_window_that_does_not_fit_is_refused(shape: tuple[int, int], window_px: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        running_mean(np.zeros(shape, np.float32), window_px)
