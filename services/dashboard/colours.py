"""The colours that cells are filled with: even steps of brightness, told apart by colour-blind eyes (viridis)."""

import numpy as np
from numpy.typing import NDArray

STOPS = (
    (68, 1, 84),
    (72, 40, 120),
    (62, 74, 137),
    (49, 104, 142),
    (38, 130, 142),
    (31, 158, 137),
    (53, 183, 121),
    (109, 205, 89),
    (180, 222, 44),
    (253, 231, 37),
)
"""Viridis (Smith & van der Walt 2015, CC0) at ten places, low to high."""
NO_VALUE = (150, 150, 150)
STEPS = 253
FIRST, NO_VALUE_AT = 1, 255
OUTER_PERCENT = 2.0


def hexed(colour: tuple[int, int, int]) -> str:
    """Return a colour as it is written in style sheets.

    >>> hexed((68, 1, 84))
    '#440154'
    """
    return "#{:02x}{:02x}{:02x}".format(*colour)


def palette() -> bytes:
    """Return 256 colours: 0 is nothing, 1 to 253 low to high, 255 of no value."""
    places = np.linspace(0.0, len(STOPS) - 1.0, STEPS)
    stops = np.array(STOPS, float)
    ramp = np.stack([np.interp(places, np.arange(len(STOPS)), stops[:, band]) for band in range(3)], axis=1)
    colours = np.zeros((256, 3), np.uint8)
    colours[FIRST : FIRST + STEPS] = np.round(ramp)
    colours[NO_VALUE_AT] = NO_VALUE
    return colours.tobytes()


def scale_of(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return what the ends of the colours stand for: all values but the outermost; None where there are none.

    >>> scale_of(np.array([1.0, 2.0, np.nan, 3.0]))
    (1.04, 2.96)
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.percentile(known, [OUTER_PERCENT, 100.0 - OUTER_PERCENT]).tolist()
    return round(low, 6), round(high, 6)


def places_of(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return (N,) the palette's place of each value."""
    scale = scale_of(values)
    if scale is None:
        return np.full(len(values), NO_VALUE_AT, np.uint8)
    low, high = scale
    share = np.clip((values - low) / max(high - low, 1e-12), 0.0, 1.0)
    steps = FIRST + np.round(np.nan_to_num(share) * (STEPS - 1)).astype(np.uint8)
    return np.where(np.isfinite(values), steps, NO_VALUE_AT).astype(np.uint8)
