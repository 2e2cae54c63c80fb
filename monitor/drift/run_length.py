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
SETTLED = 1e-7
"""Share of their width that time-varying limits may still lack when they count as settled."""


@lru_cache(maxsize=512)
def lower_cusum_arl(
    reference_k: float, limit_h: float, fall: float = 0.0, head_start: float = 0.0, states: int = STATES
) -> float:
    """Return the average run length of `monitor.drift.cusum.LowerCusum` when the mean has fallen by `fall`.

    >>> round(lower_cusum_arl(0.5, 4.0), 1), round(lower_cusum_arl(0.5, 4.0, 1.0), 2)
    (335.4, 8.38)
    """
    centres, moves = _cusum_moves(reference_k, limit_h, fall, states)
    return float(np.interp(head_start, centres, _lengths(moves)))


def two_sided_cusum_arl(
    reference_k: float, limit_h: float, shift: float = 0.0, head_start: float = 0.0, states: int = STATES
) -> float:
    """Return the average run length of `monitor.drift.cusum.TwoSidedCusum`.

    The two sums of one reference value are never both far from zero, so the sides combine (Lucas & Crosier 1982,
    Technometrics 24:199).

    >>> round(two_sided_cusum_arl(0.5, 4.0), 1), round(two_sided_cusum_arl(0.5, 5.0, 1.0, 2.5), 2)
    (167.7, 6.35)
    """
    fell, rose = (lower_cusum_arl(reference_k, limit_h, side, 0.0, states) for side in (shift, -shift))
    begun = [lower_cusum_arl(reference_k, limit_h, side, head_start, states) for side in (shift, -shift)]
    return (begun[0] * rose + begun[1] * fell - fell * rose) / (fell + rose)


def ewma_arl(weight: float, width: float, shift: float = 0.0, *, settled: bool = True, states: int = STATES) -> float:
    """Return the average run length of the two-sided `monitor.drift.ewma.Ewma`.

    With time-varying limits the chain changes from step to step; it is followed until the limits have settled.

    >>> round(ewma_arl(0.1, 2.814, 1.0), 2), round(ewma_arl(0.1, 2.814, 1.0, settled=False), 2)
    (10.33, 8.16)
    """
    states += 1 - states % 2  # zero is the middle of a state
    widest = width * math.sqrt(weight / (2.0 - weight))
    settled_lengths = _lengths(_ewma_moves(weight, shift, widest, widest, states))
    if settled:
        return float(settled_lengths[states // 2])
    alive = np.zeros(states)
    alive[states // 2] = 1.0
    mean, before, step = 0.0, widest, 0
    while True:
        step += 1
        grown = 1.0 - (1.0 - weight) ** (2 * step)
        if 1.0 - grown < SETTLED:
            return mean + float(alive @ settled_lengths)
        limit = widest * math.sqrt(grown)
        mean += float(alive.sum())
        alive = alive @ _ewma_moves(weight, shift, before, limit, states)
        before = limit


def shewhart_arl(width: float, shift: float = 0.0, *, both: bool = True) -> float:
    """Return the average run length of `monitor.drift.shewhart.Shewhart`; a one-sided chart looks for a fall.

    >>> round(shewhart_arl(3.0), 1), round(shewhart_arl(3.0, 1.0), 1)
    (370.4, 43.9)
    """
    beyond = ndtr(-width - shift) + ndtr(-width + shift) if both else ndtr(-width + abs(shift))
    return float(1.0 / beyond)


def run_length_quantiles(
    reference_k: float, limit_h: float, shares: tuple[float, ...], fall: float = 0.0, states: int = STATES
) -> list[int]:
    """Return after how many values the given shares of lower CUSUMs have alarmed.

    The median in control lies well below the mean: half of the false alarms of a year come early.

    >>> run_length_quantiles(0.5, 5.0, (0.1, 0.5, 0.9))
    [104, 647, 2135]
    """
    _, moves = _cusum_moves(reference_k, limit_h, fall, states)
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


def _cusum_moves(reference_k: float, limit_h: float, fall: float, states: int) -> tuple[Matrix, Matrix]:
    """Return the values of the states, zero first, and the chances to get from each to each."""
    step = 2.0 * limit_h / (2 * states - 1)
    centres = np.arange(states) * step
    edges = np.concatenate([[-np.inf], centres + step / 2.0])
    moves: Matrix = np.diff(ndtr(edges[None, :] - centres[:, None] + reference_k - fall), axis=1)
    return centres.astype(np.float64), moves


def _ewma_moves(weight: float, shift: float, before: float, limit: float, states: int) -> Matrix:
    """Return the chances to get from each state between the limits `before` to each state between those of now."""
    here = np.linspace(-before, before, states + 1)
    centres = (here[1:] + here[:-1]) / 2.0
    edges = np.linspace(-limit, limit, states + 1)
    moves: Matrix = np.diff(ndtr((edges[None, :] - (1.0 - weight) * centres[:, None]) / weight - shift), axis=1)
    return moves


def _lengths(moves: Matrix) -> Matrix:
    """Return the mean number of steps from each state until the chain leaves them all."""
    return np.asarray(np.linalg.solve(np.eye(len(moves)) - moves, np.ones(len(moves))), np.float64)
