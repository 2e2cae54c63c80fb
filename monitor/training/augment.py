"""Augmentation: what other microscopes, laboratories and days do to the same cells."""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage
from torch import Tensor

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class AugmentSettings(BaseModel):
    """How strongly crops are changed; scales and gains are natural logarithms.

    log_scale: size of cells is multiplied by e^T, T triangular in +-log_scale with its top at 0: far scales are seen,
    seldom; invert: probability that darker becomes brighter; log_gain: range of the contrast factor; copy_paste:
    probability that cells of another crop are laid over; the rest are probabilities of blur, defocus (a wider blur),
    noise and uneven light.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    log_scale: Annotated[float, Field(ge=0.0)] = 0.92
    invert: Probability = 0.3
    log_gain: tuple[float, float] = (-1.3, 0.6)
    change_gain: Probability = 0.7
    blur: Probability = 0.3
    defocus: Probability = 0.05
    copy_paste: Probability = 0.25
    noise: Probability = 0.4
    illumination: Probability = 0.4


def random_affine(
    random: np.random.Generator, shape: tuple[int, ...], crop_px: int, step: float, settings: AugmentSettings
) -> Tensor:
    """Return a [crop, crop, 2] sampling grid in (-1, 1): random place, rotation, mirror and scale.

    `step` is the number of field pixels per crop pixel before the random scale.
    """
    rows, columns = shape
    spread = settings.log_scale
    scale = step * float(np.exp(random.triangular(-spread, 0.0, spread) if spread > 0.0 else 0.0))
    angle = random.uniform(0.0, 2.0 * np.pi)
    mirror = -1.0 if random.random() < 0.5 else 1.0
    reach = crop_px * scale / 2.0
    centre_y = _place(random, rows, reach)
    centre_x = _place(random, columns, reach)
    axis = (np.arange(crop_px) - (crop_px - 1) / 2.0) * scale
    v, u = np.meshgrid(axis, axis * mirror, indexing="ij")
    y = centre_y + np.cos(angle) * v - np.sin(angle) * u
    x = centre_x + np.sin(angle) * v + np.cos(angle) * u
    grid = np.stack([(2.0 * x + 1.0) / columns - 1.0, (2.0 * y + 1.0) / rows - 1.0], axis=-1)
    return torch.from_numpy(grid.astype(np.float32))


def _place(random: np.random.Generator, length: int, reach: float) -> float:
    margin = min(reach * 0.8, length / 2.0)
    return float(random.uniform(margin, length - margin)) if length > 2.0 * margin else length / 2.0


def distort(pixels: NDArray[np.float32], random: np.random.Generator, settings: AugmentSettings) -> NDArray[np.float32]:
    """Return a changed copy of normalised (Y, X) pixels: blur, polarity, gain, uneven light, noise; clipped to ±6."""
    changed = pixels
    if random.random() < settings.blur:
        changed = ndimage.gaussian_filter(changed, random.uniform(0.4, 1.8))
    if random.random() < settings.defocus:
        changed = ndimage.gaussian_filter(changed, random.uniform(1.8, 3.0))
    if random.random() < settings.invert:
        changed = -changed
    if random.random() < settings.illumination:
        changed = _uneven(changed, random)
    if random.random() < settings.change_gain:
        changed = changed * np.float32(np.exp(random.uniform(*settings.log_gain)))
    if random.random() < settings.noise:
        sigma = random.uniform(0.02, 0.3)
        changed = changed + sigma * random.standard_normal(changed.shape, dtype=np.float32)
    clipped: NDArray[np.float32] = np.clip(changed, -6.0, 6.0).astype(np.float32)
    return clipped


def _uneven(pixels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = pixels.shape
    y = np.linspace(-1.0, 1.0, rows, dtype=np.float32)[:, None]
    x = np.linspace(-1.0, 1.0, columns, dtype=np.float32)[None, :]
    a, b, c = random.uniform(-0.35, 0.35, 3)
    gain = 1.0 + a * x + b * y + c * (x * x + y * y - 0.7)
    offset = random.uniform(-0.3, 0.3) * x + random.uniform(-0.3, 0.3) * y
    uneven: NDArray[np.float32] = (pixels * gain + offset).astype(np.float32)
    return uneven
