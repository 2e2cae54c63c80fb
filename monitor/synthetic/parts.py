"""Connected parts of a mask."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part of a (Y, X) mask, 4-connected; the mask itself when it has one or none."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    kept: NDArray[np.bool_] = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return kept
