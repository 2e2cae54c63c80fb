"""From the answers of several frames to the answer for their flask."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def pooled(answers: Matrix) -> Matrix:
    """Return (3,) low, middle, high of a flask from those of its frames (K, 3), K >= 1.

    The middle is the median. The interval is the mean of the frames' own: frames of one flask share the model's error,
    so averaging them does not narrow it.

    >>> pooled(np.array([[1.0, 2.0, 5.0], [3.0, 4.0, 7.0], [2.0, 9.0, 12.0]])).tolist()
    [2.0, 4.0, 8.0]
    """
    low, middle, high = float(answers[:, 0].mean()), float(np.median(answers[:, 1])), float(answers[:, 2].mean())
    return np.array([min(low, middle), middle, max(high, middle)])
