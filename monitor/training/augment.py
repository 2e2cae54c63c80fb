"""Augmentation: what other microscopes, laboratories and days do to the same cells."""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

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
) -> NDArray[np.float32]:
    """Return a (2, 3) float32 affine map from crop to field: random place, rotation, mirror and scale.

    Both are measured in (-1, 1), x before y, as `torch.nn.functional.affine_grid` without aligned corners wants it.
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
    along, across = np.cos(angle) * reach, np.sin(angle) * reach
    return np.array(
        [
            [2.0 * along * mirror / columns, 2.0 * across / columns, (2.0 * centre_x + 1.0) / columns - 1.0],
            [-2.0 * across * mirror / rows, 2.0 * along / rows, (2.0 * centre_y + 1.0) / rows - 1.0],
        ],
        np.float32,
    )


def _place(random: np.random.Generator, length: int, reach: float) -> float:
    margin = min(reach * 0.8, length / 2.0)
    return float(random.uniform(margin, length - margin)) if length > 2.0 * margin else length / 2.0


def distort(pixels: Tensor, random: np.random.Generator, noise: torch.Generator, settings: AugmentSettings) -> Tensor:
    """Return a changed copy of crops: blur, polarity, gain, uneven light, noise; clipped to ±6.

    Parameters
    ----------
    pixels
        [B, H, W] float32, normalised.
    random
        Decides what happens to which crop.
    noise
        Draws the noise; it lives on the device of `pixels`.
    """
    count = len(pixels)
    changed = _blurred(pixels, _sigmas(random, count, settings))
    sign = np.where(random.random(count) < settings.invert, -1.0, 1.0)
    changed = changed * _each(sign, pixels)
    uneven = random.random(count) < settings.illumination
    if uneven.any():
        changed = _uneven(changed, random, uneven)
    gained = random.random(count) < settings.change_gain
    changed = changed * _each(np.exp(gained * random.uniform(*settings.log_gain, count)), pixels)
    sigma = (random.random(count) < settings.noise) * random.uniform(0.02, 0.3, count)
    if sigma.any():
        drawn = torch.randn(pixels.shape, generator=noise, device=pixels.device)
        changed = changed + _each(sigma, pixels) * drawn
    return changed.clamp(-6.0, 6.0)


def _each(values: NDArray[np.generic], like: Tensor) -> Tensor:
    """Return one number per crop as a [B, 1, 1] tensor beside `like`."""
    return torch.from_numpy(values.astype(np.float32)).to(like.device, non_blocking=True)[:, None, None]


def _sigmas(random: np.random.Generator, count: int, settings: AugmentSettings) -> NDArray[np.float64]:
    """Return the width of every crop's blur in pixels, 0 for none; a blur and a defocus add up as variances do."""
    blur = (random.random(count) < settings.blur) * random.uniform(0.4, 1.8, count)
    defocus = (random.random(count) < settings.defocus) * random.uniform(1.8, 3.0, count)
    wide: NDArray[np.float64] = np.hypot(blur, defocus)
    return wide


def _blurred(pixels: Tensor, sigmas: NDArray[np.float64]) -> Tensor:
    """Return crops smoothed by a Gaussian, each by its own width."""
    chosen = np.flatnonzero(sigmas)
    if chosen.size == 0:
        return pixels
    radius = int(np.ceil(4.0 * sigmas.max()))
    offsets = np.arange(-radius, radius + 1)
    kernels = np.exp(-0.5 * (offsets[None] / sigmas[chosen, None]) ** 2)
    kernels /= kernels.sum(1, keepdims=True)
    weight = torch.from_numpy(kernels.astype(np.float32)).to(pixels.device)[:, None, None]
    rows = torch.from_numpy(chosen).to(pixels.device)
    padded = functional.pad(pixels[rows][:, None], (radius, radius, radius, radius), mode="reflect")[:, 0][None]
    smooth = functional.conv2d(padded, weight, groups=len(chosen))
    smooth = functional.conv2d(smooth, weight.transpose(2, 3), groups=len(chosen))[0]
    return pixels.index_copy(0, rows, smooth)


def _uneven(pixels: Tensor, random: np.random.Generator, which: NDArray[np.bool_]) -> Tensor:
    count, rows, columns = pixels.shape
    y = torch.linspace(-1.0, 1.0, rows, device=pixels.device)[:, None]
    x = torch.linspace(-1.0, 1.0, columns, device=pixels.device)[None, :]
    a, b, c = (_each(which * random.uniform(-0.35, 0.35, count), pixels) for _ in range(3))
    d, e = (_each(which * random.uniform(-0.3, 0.3, count), pixels) for _ in range(2))
    return pixels * (1.0 + a * x + b * y + c * (x * x + y * y - 0.7)) + (d * x + e * y)
