"""The microscope of the simulation: Zernike phase contrast, defocus, uneven light, camera."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

HALO_UM = 4.0
"""Spread of the light that the phase ring lets through twice; sets the width of halo and shade-off."""
FULL_SCALE = 65_535


@dataclass(frozen=True, slots=True)
class Optics:
    """How a frame is taken.

    contrast: depth of a cell's dark body relative to the background, about 0.1 to 0.8; polarity: 1 dark cells, -1
    bright cells; defocus_um: distance from focus; unevenness: relative fall of the light towards a corner;
    background_counts: mean camera counts; read_noise: counts; photons: full-scale photon number of the background.
    """

    contrast: float = 0.6
    polarity: int = 1
    defocus_um: float = 0.0
    unevenness: float = 0.06
    background_counts: float = 9000.0
    read_noise: float = 40.0
    photons: float = 12000.0


def expose(
    phase: NDArray[np.float32], pixel_size_um: float, optics: Optics, random: np.random.Generator
) -> NDArray[np.uint16]:
    """Return (Y, X) uint16 camera counts of a (Y, X) float32 map of optical thickness.

    The image is the background minus the phase's excess over its own surroundings: dark where thicker, with a bright
    halo outside and shade-off inside (linear model of Yin et al. 2012, Med. Image Anal. 16:1047). Defocus widens the
    point spread and, as out of focus phase turns into amplitude, adds fringes of the other sign.
    """
    halo = ndimage.gaussian_filter(phase, HALO_UM / pixel_size_um, mode="reflect")
    wide = ndimage.gaussian_filter(phase, 4.0 * HALO_UM / pixel_size_um, mode="reflect")
    excess = phase - 0.72 * halo - 0.22 * wide
    spread_um = 0.35 + 0.22 * abs(optics.defocus_um)
    image = ndimage.gaussian_filter(excess, spread_um / pixel_size_um, mode="reflect")
    if optics.defocus_um:
        fringe = ndimage.gaussian_laplace(phase, spread_um / pixel_size_um, mode="reflect")
        strength = 0.05 * optics.defocus_um * min(1.0, 6.0 / abs(optics.defocus_um)) * (spread_um / pixel_size_um)
        image = image + strength * fringe
    light = _light(phase.shape, optics.unevenness, random)
    relative = light * np.clip(1.0 - optics.polarity * optics.contrast * image, 0.05, None)
    noisy = random.normal(relative, np.sqrt(relative / optics.photons))
    counts = optics.background_counts * noisy + random.normal(0.0, optics.read_noise, phase.shape)
    pixels: NDArray[np.uint16] = np.clip(np.rint(counts), 0, FULL_SCALE).astype(np.uint16)
    return pixels


def _light(shape: tuple[int, ...], unevenness: float, random: np.random.Generator) -> NDArray[np.float64]:
    centre = random.uniform(-0.4, 0.4, 2)
    y = np.linspace(-1.0, 1.0, shape[0])[:, None] - centre[0]
    x = np.linspace(-1.0, 1.0, shape[1])[None, :] - centre[1]
    light: NDArray[np.float64] = 1.0 - unevenness * (y * y + x * x) / 2.0
    return light
