"""Average run lengths: how many values a chart takes to alarm, in control and after a shift.

Markov chains over the chart's statistic (Brook & Evans 1972, Biometrika 59:539), in units of the in-control standard
deviation, for independent normal values with known parameters. Real series with estimated parameters alarm more often:
what these numbers promise holds for a settled baseline, see `monitor.culture.baseline`.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Matrix = NDArray[np.float64]

STATES = 400
"""Steps of the grid over a statistic; the run lengths are then right to one part in a thousand."""


@lru_cache(maxsize=512)
def lower_cusum_arl(reference_k: float, limit_h: float, fall: float = 0.0, states: int = STATES) -> float:
    """Return the average run length of `monitor.drift.cusum.LowerCusum` when the mean has fallen by `fall`.

    >>> round(lower_cusum_arl(0.5, 4.0), 1), round(lower_cusum_arl(0.5, 4.0, 1.0), 2)
    (335.4, 8.38)
    """
    return float(_lengths(_cusum_moves(reference_k, limit_h, fall, states))[0])


def run_length_quantiles(
    reference_k: float, limit_h: float, shares: tuple[float, ...], fall: float = 0.0, states: int = STATES
) -> list[int]:
    """Return after how many values the given shares of lower CUSUMs have alarmed.

    The median in control lies well below the mean: half of the false alarms of a year come early.

    >>> run_length_quantiles(0.5, 5.0, (0.1, 0.5, 0.9))
    [104, 647, 2135]
    """
    moves = _cusum_moves(reference_k, limit_h, fall, states)
    alive: Matrix = np.eye(states)[0]
    # the tail decays by the largest eigenvalue; steps are taken until the distribution has that shape
    found: list[int] = []
    count, ratio, left = 0, 0.0, 1.0
    while len(found) < len(shares):
        moved = alive @ moves
        now = float(moved.sum())
        count += 1
        while len(found) < len(shares) and now <= 1.0 - shares[len(found)]:
            found.append(count)
        steady = abs(now / left - ratio) < 1e-13
        ratio, left, alive = now / left, now, moved
        if steady:
            found += [
                count + math.ceil(math.log((1.0 - share) / left) / math.log(ratio)) for share in shares[len(found) :]
            ]
    return found


def _cusum_moves(reference_k: float, limit_h: float, fall: float, states: int) -> Matrix:
    """Return the chances to get from each state to each; the first is a sum of zero."""
    step = 2.0 * limit_h / (2 * states - 1)
    centres = np.arange(states) * step
    edges = np.concatenate([[-np.inf], centres + step / 2.0])
    moves: Matrix = np.diff(ndtr(edges[None, :] - centres[:, None] + reference_k - fall), axis=1)
    return moves


def _lengths(moves: Matrix) -> Matrix:
    """Return the mean number of steps from each state until the chain leaves them all."""
    return np.asarray(np.linalg.solve(np.eye(len(moves)) - moves, np.ones(len(moves))), np.float64)
