import numpy as np
import pytest
from scipy import ndimage

from monitor.segmentation.margins import within


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (40, 61), (61, 40)])
def test_it_is_dilation(shape: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(1).random(shape) < share
    for steps in (1, 3, 9, 200, 254):
        np.testing.assert_array_equal(within(steps, mask), ndimage.binary_dilation(mask, iterations=steps))
