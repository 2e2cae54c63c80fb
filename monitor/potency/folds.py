"""Which rows are held out together: never two parts of one group on two sides."""

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.str_]
ONE_OUT_UP_TO = 10
"""Up to so many groups each is held out by itself; beyond, `FOLDS` parts of about equal size."""
FOLDS = 5


def grouped_folds(group: Labels, folds: int = FOLDS, one_out_up_to: int = ONE_OUT_UP_TO) -> NDArray[np.int64]:
    """Return (N,) the number of the fold of each row; groups (N,) are dealt out, the largest first, to the emptiest.

    >>> grouped_folds(np.array(["a", "a", "b", "c"])).tolist()
    [0, 0, 1, 2]
    """
    names, which, counts = np.unique(group, return_inverse=True, return_counts=True)
    if len(names) <= one_out_up_to:
        return which.astype(np.int64)
    filled = np.zeros(min(folds, len(names)), int)
    place = np.zeros(len(names), np.int64)
    for name in np.argsort(-counts, kind="stable"):
        place[name] = int(np.argmin(filled))
        filled[place[name]] += counts[name]
    dealt: NDArray[np.int64] = place[which]
    return dealt


def plain_folds(target: NDArray[np.float64], seed: int, folds: int = FOLDS) -> NDArray[np.int64]:
    """Return (N,) folds of rows that belong to nothing, by chance, each with its share of every part of the target."""
    random = np.random.default_rng([seed, 11])
    order = np.lexsort((random.random(len(target)), target))
    fold = np.empty(len(target), np.int64)
    for first in range(0, len(target), folds):
        rows = order[first : first + folds]
        fold[rows] = random.permutation(folds)[: len(rows)]
    return fold
