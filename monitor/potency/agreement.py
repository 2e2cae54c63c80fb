"""How estimates agree with what the laboratory found later: coverage, bias and slope, each with its uncertainty.

A flask is one piece of evidence however many results it has: each flask counts once, its results share that weight.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.stats import beta, t

Matrix = NDArray[np.float64]
Range = tuple[float, float]
LEAST_FLASKS = 10
"""With fewer nothing is judged: even if all of nine lay inside, the true coverage could be 66 %."""
CONFIDENCE = 0.95
"""Of every range given here."""


class Verdict(StrEnum):
    """What the results say of the intervals; `AGREES` means that nothing speaks against the nominal coverage."""

    TOO_FEW = "too few to judge"
    AGREES = "agrees with nominal"
    TOO_NARROW = "too narrow"
    TOO_WIDE = "too wide"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found (N,), in the biomarker's unit; the answers (N, 3) low, middle, high; and the flasks (N,)."""

    truth: Matrix
    answer: Matrix
    unit: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.truth)

    def part(self, chosen: slice | NDArray[np.bool_]) -> "Measured":
        """Return some of the results."""
        return Measured(self.truth[chosen], self.answer[chosen], self.unit[chosen])

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(N,) whether the interval holds what was found."""
        held: NDArray[np.bool_] = (self.truth >= self.answer[:, 0]) & (self.truth <= self.answer[:, 2])
        return held


class Agreement(BaseModel):
    """Scores of one biomarker; every number but the counts is None while the flasks are too few to judge.

    inside: flasks whose interval held the result, a flask with several results counting in part; coverage: their
    share; bias: mean of estimate minus result; rmse: root mean square of it; both in the biomarker's unit; slope: of
    results on estimates, 1 is right and less says that estimates are spread too far; None where all estimates are
    alike; ranges hold the true value with `CONFIDENCE`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    results: int
    flasks: int
    inside: float
    nominal: float
    verdict: Verdict
    coverage: float | None = None
    coverage_range: Range | None = None
    bias: float | None = None
    bias_range: Range | None = None
    rmse: float | None = None
    slope: float | None = None
    slope_range: Range | None = None


class RollingPoint(BaseModel):
    """Coverage over the last results up to one of them, the number `until`; None while the flasks are too few."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: int
    flasks: int
    inside: float
    coverage: float | None = None
    coverage_range: Range | None = None


def clopper_pearson(inside: float, count: int) -> Range:
    """Return the exact binomial range of a share of which `inside` of `count` were seen (Clopper & Pearson 1934).

    Exact where every flask has one result; parts of a flask go in between whole counts.

    >>> [round(edge, 3) for edge in clopper_pearson(18, 20)]
    [0.683, 0.988]
    """
    tail = (1.0 - CONFIDENCE) / 2.0
    low = 0.0 if inside <= 0.0 else float(beta.ppf(tail, inside, count - inside + 1.0))
    high = 1.0 if inside >= count else float(beta.ppf(1.0 - tail, inside + 1.0, count - inside))
    return low, high


def verdict_of(coverage_range: Range, nominal: float) -> Verdict:
    """Return what a coverage range says of a nominal coverage."""
    if coverage_range[1] < nominal:
        return Verdict.TOO_NARROW
    return Verdict.TOO_WIDE if coverage_range[0] > nominal else Verdict.AGREES


def agreement(measured: Measured, nominal: float) -> Agreement:
    """Return how estimates agree with results."""
    inside = _by_flask(measured.inside.astype(float), measured.unit)
    flasks, held = len(inside), float(inside.sum())
    if flasks < LEAST_FLASKS:
        few = Verdict.TOO_FEW
        return Agreement(results=len(measured), flasks=flasks, inside=held, nominal=nominal, verdict=few)
    coverage_range = clopper_pearson(held, flasks)
    error = measured.answer[:, 1] - measured.truth
    bias = _by_flask(error, measured.unit)
    slope, slope_range = _slope(measured)
    return Agreement(
        results=len(measured),
        flasks=flasks,
        inside=held,
        nominal=nominal,
        verdict=verdict_of(coverage_range, nominal),
        coverage=held / flasks,
        coverage_range=coverage_range,
        bias=float(bias.mean()),
        bias_range=_around(float(bias.mean()), float(bias.std(ddof=1)) / flasks**0.5, flasks - 1),
        rmse=float(np.sqrt(_by_flask(error**2, measured.unit).mean())),
        slope=slope,
        slope_range=slope_range,
    )


def rolling_coverage(measured: Measured, last: int) -> list[RollingPoint]:
    """Return the coverage over the `last` results up to each, in the order given."""
    points = []
    for until in range(1, len(measured) + 1):
        part = measured.part(slice(max(0, until - last), until))
        inside = _by_flask(part.inside.astype(float), part.unit)
        flasks, held = len(inside), float(inside.sum())
        known = {}
        if flasks >= LEAST_FLASKS:
            known = {"coverage": held / flasks, "coverage_range": clopper_pearson(held, flasks)}
        points.append(RollingPoint(until=until, flasks=flasks, inside=held, **known))
    return points


def _slope(measured: Measured) -> tuple[float | None, Range | None]:
    """Return the least-squares slope of results on estimates over flasks (Cox 1958), None where it is not defined."""
    estimate = _by_flask(measured.answer[:, 1], measured.unit)
    result = _by_flask(measured.truth, measured.unit)
    centred = estimate - estimate.mean()
    spread = float((centred**2).sum())
    if spread <= 1e-12 * max(1.0, float((estimate**2).sum())):
        return None, None
    slope = float((centred * result).sum()) / spread
    rest = result - result.mean() - slope * centred
    freedom = len(result) - 2
    return slope, _around(slope, float(np.sqrt((rest**2).sum() / freedom / spread)), freedom)


def _around(value: float, error: float, freedom: int) -> Range:
    reach = float(t.ppf(0.5 + CONFIDENCE / 2.0, freedom)) * error
    return value - reach, value + reach


def _by_flask(values: Matrix, unit: NDArray[np.str_]) -> Matrix:
    """Return (U,) the mean of values (N,) of each flask, in sorted order."""
    _, which = np.unique(unit, return_inverse=True)
    means: Matrix = np.bincount(which, weights=values) / np.bincount(which)
    return means
