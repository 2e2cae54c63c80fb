"""Images of thin transparent objects by partially coherent wave optics.

The object is a complex transmission, amplitude times exp(i phase). Each point of the condenser's source lights it with
a tilted plane wave; the objective keeps what its pupil lets through; the intensities of all source points add up
(Abbe's method; Goodman, Introduction to Fourier Optics, chapter 7). What differs between the contrast methods is the
source and the pupil only:

- phase contrast: a ring in the condenser, its image in the pupil a ring that absorbs and turns the light by a quarter
  of a wave (Zernike 1942, Physica 9:686). Halo and shade-off come by themselves: light of coarse detail passes the
  ring as well.
- brightfield: a disc in the condenser; a transparent object shows only out of focus.
- interference contrast: the image minus itself, sheared (Nomarski 1955; transfer function of Mehta & Sheppard 2008).
- relief contrast: a slit in the condenser, its image on the grey zone of a modulator of three zones (Hoffman & Gross
  1975, Appl. Opt. 14:1169).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Contrast = Literal["phase", "brightfield", "interference", "relief"]
SOURCE_POINTS = 10
"""Tilts per image: with fewer, rings of coherent light stay around small objects."""
MODULATOR = (0.03, 0.4, 1.0)
"""Amplitudes of the dark, grey and bright zone (intensities of about 0, 15 and 100 %: Hoffman & Gross 1975)."""
GREY_ZONE = (0.45, 0.75)
"""Where the grey zone lies between centre and rim of the pupil."""


@dataclass(frozen=True, slots=True)
class Microscope:
    """An objective with its condenser; lengths in um, pupil coordinates as fractions of the objective's aperture.

    aperture: numerical, 0.1 to 0.75; defocus_um: of the object, either sign; ring_radius, ring_width, ring_amplitude,
    ring_sign: of a phase ring, its amplitude transmission in 0 to 1, sign 1 for dark cells and -1 for bright ones;
    condenser: aperture of the condenser over that of the objective; shear_um, bias: of interference contrast, bias in
    radians; direction: of shear or slit, radians.
    """

    contrast: Contrast = "phase"
    aperture: float = 0.3
    wavelength_um: float = 0.55
    defocus_um: float = 0.0
    ring_radius: float = 0.5
    ring_width: float = 0.08
    ring_amplitude: float = 0.45
    ring_sign: int = 1
    condenser: float = 0.4
    shear_um: float = 0.5
    bias: float = 0.9
    direction: float = 0.8


def images_of(
    transmissions: Sequence[NDArray[np.complex64]], pixel_size_um: float, microscope: Microscope
) -> list[NDArray[np.float32]]:
    """Return the intensity of each object relative to an empty field.

    Parameters
    ----------
    transmissions
        (Y, X) complex64 of one shape, 1 where nothing is; taken as periodic, so leave a margin.
    pixel_size_um
        At most `wavelength_um / (2 * aperture)`, or fine detail folds over.

    Returns
    -------
    For each a (Y, X) float32, about 1 on the background, never negative.
    """
    y, x = _frequencies(transmissions[0].shape, pixel_size_um)
    spectra = [fft.fft2(transmission) for transmission in transmissions]
    images = [np.zeros(spectrum.shape, np.float32) for spectrum in spectra]
    blank = 0.0
    cut_off = microscope.aperture / microscope.wavelength_um
    for tilt_y, tilt_x in _source(microscope):
        # a tilted wave shifts the object's spectrum across the pupil
        passed = _pupil(y + np.float32(tilt_y * cut_off), x + np.float32(tilt_x * cut_off), microscope)
        if microscope.contrast == "interference":
            passed = passed * _sheared(y, x, microscope)
        for spectrum, image in zip(spectra, images, strict=True):
            field = fft.ifft2(spectrum * passed, overwrite_x=True)
            image += field.real**2 + field.imag**2
        blank += float(np.abs(passed[0, 0]) ** 2)
    level = np.float32(max(blank, 1e-6))
    return [np.asarray(image / level, np.float32) for image in images]


def propagated(
    transmission: NDArray[np.complex64], pixel_size_um: float, distance_um: float, wavelength_um: float = 0.55
) -> NDArray[np.complex64]:
    """Return the field that a (Y, X) complex64 field becomes after a distance in um (Fresnel's approximation)."""
    y, x = _frequencies(transmission.shape, pixel_size_um)
    phase = np.float32(-np.pi * wavelength_um * distance_um) * (y * y + x * x)
    moved: NDArray[np.complex64] = fft.ifft2(fft.fft2(transmission) * np.exp(1j * phase)).astype(np.complex64)
    return moved


def _frequencies(shape: tuple[int, ...], pixel_size_um: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    y, x = (np.fft.fftfreq(side, pixel_size_um).astype(np.float32) for side in shape)
    return y[:, None], x[None, :]


def _source(microscope: Microscope) -> list[tuple[float, float]]:
    """Return tilts (y, x) as fractions of the objective's aperture."""
    index = np.arange(SOURCE_POINTS)
    if microscope.contrast == "phase":
        # angles evenly around, radii spread over the inner part of the ring
        angle = 2.0 * np.pi * (index + 0.25) / SOURCE_POINTS
        radius = microscope.ring_radius + microscope.ring_width * 0.35 * (((index * 7) % SOURCE_POINTS) / 4.5 - 1.0)
    elif microscope.contrast == "relief":
        along = np.linspace(-0.4, 0.4, SOURCE_POINTS)
        across = 0.5 * sum(GREY_ZONE) + 0.1 * (GREY_ZONE[1] - GREY_ZONE[0]) * (-1.0) ** index
        cos, sin = np.cos(microscope.direction), np.sin(microscope.direction)
        return [(float(a * sin + b * cos), float(a * cos - b * sin)) for a, b in zip(across, along, strict=True)]
    else:
        # a sunflower fills a disc evenly (Vogel 1979)
        angle = index * np.pi * (3.0 - 5.0**0.5)
        radius = microscope.condenser * np.sqrt((index + 0.5) / SOURCE_POINTS)
    return [(float(r * np.sin(a)), float(r * np.cos(a))) for r, a in zip(radius, angle, strict=True)]


def _pupil(y: NDArray[np.float32], x: NDArray[np.float32], microscope: Microscope) -> NDArray[np.complex64]:
    """Return the (Y, X) complex64 amplitude that the objective lets through at frequencies in 1/um."""
    cut_off = microscope.aperture / microscope.wavelength_um
    square = y * y + x * x
    passed = np.zeros(square.shape, np.complex64)
    within = square <= np.float32(cut_off**2)
    inner = square[within]
    amplitude = np.ones(inner.shape, np.complex64)
    if microscope.defocus_um:
        amplitude = np.exp(np.complex64(-1j * np.pi * microscope.wavelength_um * microscope.defocus_um) * inner)
    if microscope.contrast == "phase":
        low, high = (microscope.ring_radius + side * microscope.ring_width / 2.0 for side in (-1.0, 1.0))
        ring = (inner >= np.float32((low * cut_off) ** 2)) & (inner <= np.float32((high * cut_off) ** 2))
        amplitude[ring] *= np.complex64(-1j * microscope.ring_sign * microscope.ring_amplitude)
    elif microscope.contrast == "relief":
        across = ((y * np.sin(microscope.direction) + x * np.cos(microscope.direction)) / np.float32(cut_off))[within]
        dark, grey, bright = (np.float32(value) for value in MODULATOR)
        amplitude *= np.where(across < GREY_ZONE[0], bright, np.where(across <= GREY_ZONE[1], grey, dark))
    passed[within] = amplitude
    return passed


def _sheared(y: NDArray[np.float32], x: NDArray[np.float32], microscope: Microscope) -> NDArray[np.complex64]:
    along = y * np.sin(microscope.direction) + x * np.cos(microscope.direction)
    turned = np.float32(np.pi * microscope.shear_um) * along + np.float32(microscope.bias / 2.0)
    sheared: NDArray[np.complex64] = np.sin(turned).astype(np.complex64)
    return sheared
