"""How scores hold up when the same labelled images come from a changed microscope."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monitor.training.evaluate import Segment, evaluate
from monitor.training.sources import LabelledImage

Change = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.generic]]


def gain(factor: float) -> Change:
    """Return a change of contrast around the median; negative factors turn dark into bright."""
    return lambda pixels, random: (pixels - np.median(pixels)) * np.float32(factor) + np.median(pixels)


def gamma(power: float) -> Change:
    """Return a change of the camera's curve, the darkest and brightest pixel kept."""

    def change(pixels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.generic]:
        low, high = pixels.min(), pixels.max()
        bent: NDArray[np.float32] = ((pixels - low) / (high - low)) ** np.float32(power) * (high - low) + low
        return bent

    return change


def defocus(sigma_um: float) -> Callable[[float], Change]:
    """Return, for a pixel size in um, a Gaussian blur of so many um."""
    return lambda pixel_size_um: lambda pixels, random: ndimage.gaussian_filter(pixels, sigma_um / pixel_size_um)


def vignette(pixels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.generic]:
    """Darken the corners by 35 %."""
    y, x = (np.linspace(-1.0, 1.0, side, dtype=np.float32) for side in pixels.shape)
    darkened: NDArray[np.float32] = pixels * (np.float32(1.0) - np.float32(0.175) * (y[:, None] ** 2 + x[None, :] ** 2))
    return darkened


def noise(pixels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.generic]:
    """Add white noise of one robust deviation of the image."""
    spread = 1.4826 * np.median(np.abs(pixels - np.median(pixels)))
    return pixels + random.normal(0.0, spread, pixels.shape).astype(np.float32)


def eight_bits(pixels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.generic]:
    """Return the image as uint8 between its 0.1 and 99.9 percentiles."""
    low, high = np.percentile(pixels, [0.1, 99.9])
    scaled: NDArray[np.uint8] = np.round(np.clip((pixels - low) / (high - low), 0.0, 1.0) * 255.0).astype(np.uint8)
    return scaled


CHANGES: dict[str, Change] = {
    "gain x0.25": gain(0.25),
    "gain x0.5": gain(0.5),
    "gain x2": gain(2.0),
    "inverted": gain(-1.0),
    "inverted, gain x0.5": gain(-0.5),
    "gamma 0.7": gamma(0.7),
    "gamma 1.4": gamma(1.4),
    "vignette": vignette,
    "noise": noise,
    "uint8": eight_bits,
}
DEFOCUS_UM = 1.5
SCALES = (0.5, 0.75, 1.5, 2.0)


def variants(image: LabelledImage) -> dict[str, LabelledImage]:
    """Return changed copies of an image, the labels resampled with it where the pixel size changes; seeded."""
    random = np.random.default_rng(7)
    clean = image.pixels.astype(np.float32)
    changes: Mapping[str, Change] = CHANGES | {f"defocus {DEFOCUS_UM} um": defocus(DEFOCUS_UM)(image.pixel_size_um)}
    found = {"clean": image}
    for name, change in changes.items():
        found[name] = LabelledImage(image.name, change(clean, random), image.cells, image.nuclei, image.pixel_size_um)
    for factor in SCALES:
        found[f"pixel size x{factor:g}"] = _rescaled(image, clean, factor)
    return found


def robustness(segment: Segment, images: Iterable[LabelledImage]) -> dict[str, float]:
    """Return AP50 of cells by kind of change, `clean` first."""
    by_change: dict[str, list[LabelledImage]] = {}
    for image in images:
        for name, changed in variants(image).items():
            by_change.setdefault(name, []).append(changed)
    return {name: evaluate(segment, changed).cells.ap50 for name, changed in by_change.items()}


def _rescaled(image: LabelledImage, clean: NDArray[np.float32], factor: float) -> LabelledImage:
    sides = [max(64, round(length / factor)) for length in clean.shape]
    zoom = [new / old for new, old in zip(sides, clean.shape, strict=True)]
    averaged = ndimage.gaussian_filter(clean, 0.4 * factor) if factor > 1.0 else clean
    nuclei = None if image.nuclei is None else ndimage.zoom(image.nuclei, zoom, order=0)
    return LabelledImage(
        image.name,
        ndimage.zoom(averaged, zoom, order=1),
        ndimage.zoom(image.cells, zoom, order=0),
        nuclei,
        image.pixel_size_um * factor,
    )
