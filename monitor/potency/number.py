"""Numbers as they are written in tables, read no more freely than people mean them."""

import math

LARGEST = 1e30
"""Beyond it nothing is a measured value, and squares no longer add up."""


def number_of(text: str | float | None) -> float | None:
    """Return the number that a cell holds, None where it holds none; it may be infinite or NaN.

    `1_1` is the name of a flask, though Python reads 11 in it.

    >>> number_of("2.5e3"), number_of("1_1"), number_of("n.d."), number_of(None)
    (2500.0, None, None, None)
    """
    if isinstance(text, str) and "_" in text:
        return None
    try:
        return float(text)  # type: ignore[arg-type]  # None ends in the except
    except (TypeError, ValueError):
        return None


def is_measured(number: float | None) -> bool:
    """Whether a number can be a measured value: finite, and not beyond `LARGEST`."""
    return number is not None and math.isfinite(number) and abs(number) <= LARGEST
