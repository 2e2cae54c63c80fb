"""Many features looked at together: which of them changed, with a bound on the share of false ones among those named.

Benjamini, Y. & Hochberg, Y. (1995), J. R. Stat. Soc. B 57:289. Holds for independent tests and for tests that depend on
one another positively, as features of the same cells do.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def discoveries(p_values: Sequence[float], rate: float) -> NDArray[np.bool_]:
    """Return (N,) bool: which of N p-values are discoveries at a false-discovery rate; NaN never is.

    >>> discoveries([0.001, 0.04, 0.03, 0.8], rate=0.05).tolist()
    [True, False, False, False]
    >>> discoveries([0.001, 0.02, 0.03, 0.8], rate=0.05).tolist()
    [True, True, True, False]
    """
    p = np.asarray(p_values, float)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    below = np.flatnonzero(p[order] <= rate * np.arange(1, order.size + 1) / max(order.size, 1))
    found = np.zeros(p.size, bool)
    found[order[: below[-1] + 1 if below.size else 0]] = True
    return found
