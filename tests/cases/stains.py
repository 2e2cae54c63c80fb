"""Fluorescence of phantoms: what a nuclear stain and a dye of the cell would show of them."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monitor.synthetic.phantom import Phantom


def nuclear_stain(truth: Phantom, seed: int = 0, shift: tuple[int, int] = (0, 0)) -> NDArray[np.uint16]:
    """Return DAPI counts: nuclei of differing brightness, a breath of cytoplasm, blur, shot noise."""
    random = np.random.default_rng(seed)
    brightness = random.uniform(600.0, 2500.0, int(truth.nuclei.max()) + 1)
    brightness[0] = 0.0
    light = brightness[truth.nuclei] * random.lognormal(0.0, 0.1, truth.nuclei.shape)
    return _exposed(light + 60.0 * (truth.cells > 0), truth, random, shift)


def cytoplasm_dye(truth: Phantom, seed: int = 0) -> NDArray[np.uint16]:
    """Return counts of a dye that fills the cells, thickest in their middle."""
    random = np.random.default_rng(seed)
    depth = ndimage.distance_transform_edt(truth.cells > 0)
    brightness = random.uniform(400.0, 900.0, int(truth.cells.max()) + 1)
    edge = ndimage.morphological_gradient(truth.cells, 3) > 0
    return _exposed(brightness[truth.cells] * (0.5 + 0.5 * np.tanh(depth / 6.0)) * (depth > 0) * ~edge, truth, random)


def _exposed(
    light: NDArray[np.floating], truth: Phantom, random: np.random.Generator, shift: tuple[int, int] = (0, 0)
) -> NDArray[np.uint16]:
    blurred = ndimage.gaussian_filter(light, 1.0 / truth.pixel_size_um) + 300.0
    shifted = ndimage.shift(blurred, shift, order=1, mode="reflect")
    return random.poisson(np.maximum(shifted, 0.0)).astype(np.uint16)
