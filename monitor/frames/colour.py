"""One grey plane from a colour image: the channel itself where all agree, else their luminance."""

import numpy as np
from numpy.typing import NDArray

from monitor.errors import FrameRejected

LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue on a linear scale (ITU-R BT.709); most of it is green, which a colour camera samples
twice as densely as the others."""


def grey_of(pixels: NDArray[np.unsignedinteger], name: str) -> NDArray[np.unsignedinteger]:
    """Return the grey plane of a colour image; the same rule for every frame, so that a flask's stay comparable.

    Parameters
    ----------
    pixels
        (Y, X, 3) red, green, blue or (Y, X, 4) with opacity, uint8 or uint16; also (3, Y, X) or (4, Y, X).
    name
        Of the file, for messages.

    Returns
    -------
    (Y, X) of the same dtype. Grey in colour dress comes back unchanged, bit for bit.

    Raises
    ------
    FrameRejected
        `rgb` when parts are transparent: nobody can say what lies there.
    """
    channels = pixels if pixels.shape[0] in (3, 4) and pixels.shape[-1] not in (3, 4) else np.moveaxis(pixels, -1, 0)
    if len(channels) == 4 and (channels[3] != np.iinfo(str(pixels.dtype)).max).any():
        message = f"{name} has transparent parts; export the camera's picture, not one from a presentation"
        raise FrameRejected(message, reason="rgb")
    red, green, blue = channels[:3]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return np.ascontiguousarray(green)
    grey = np.zeros(green.shape, np.float32)
    for weight, channel in zip(LUMINANCE, (red, green, blue), strict=True):
        grey += np.float32(weight) * channel
    rounded: NDArray[np.unsignedinteger] = np.rint(grey).astype(pixels.dtype)
    return rounded
