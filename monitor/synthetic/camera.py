"""The camera of the simulation: uneven and stray light, shot and read noise, bit depth, JPEG."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FULL_SCALE = 65_535


@dataclass(frozen=True, slots=True)
class Camera:
    """How an image becomes counts.

    stray: light that never saw the object, over that which did; unevenness: fall of the light towards a corner;
    photons: of the empty field, per pixel; read_noise: as a fraction of the empty field's counts; background: counts of
    the empty field over full scale, less where the picture would be saturated; bits: 8 or 16; jpeg: quality of 1 to 95,
    None for none (8 bits only).
    """

    stray: float = 0.1
    unevenness: float = 0.06
    photons: float = 12000.0
    read_noise: float = 0.004
    background: float = 0.35
    bits: int = 16
    jpeg: int | None = None


def noise_of(camera: Camera) -> float:
    """Return the standard deviation of a pixel of the empty field, as a fraction of its mean."""
    return float(np.hypot(camera.photons**-0.5, camera.read_noise))


def expose(intensity: NDArray[np.float32], camera: Camera, random: np.random.Generator) -> NDArray[np.unsignedinteger]:
    """Return counts, (Y, X) uint8 or uint16, of a (Y, X) intensity relative to an empty field."""
    light = _light(intensity.shape, camera.unevenness, random)
    seen = light * (intensity + np.float32(camera.stray)) / np.float32(1.0 + camera.stray)
    noisy = random.normal(seen, np.sqrt(np.maximum(seen, 1e-4) / camera.photons + camera.read_noise**2))
    full = 255 if camera.bits == 8 else FULL_SCALE
    # exposed as people do: little is saturated
    level = min(camera.background, 0.95 / max(float(np.percentile(seen[::3, ::3], 99.5)), 1e-3))
    counts = np.clip(np.rint(noisy * level * full), 0, full)
    if camera.bits != 8:
        return counts.astype(np.uint16)
    small = counts.astype(np.uint8)
    if camera.jpeg is not None:
        stream = io.BytesIO()
        Image.fromarray(small).save(stream, "JPEG", quality=camera.jpeg)
        small = np.array(Image.open(stream))
    return small


def _light(shape: tuple[int, ...], unevenness: float, random: np.random.Generator) -> NDArray[np.float32]:
    centre = random.uniform(-0.4, 0.4, 2)
    y = np.linspace(-1.0, 1.0, shape[0])[:, None] - centre[0]
    x = np.linspace(-1.0, 1.0, shape[1])[None, :] - centre[1]
    light: NDArray[np.float32] = (1.0 - unevenness * (y * y + x * x) / 2.0).clip(0.05).astype(np.float32)
    return light
