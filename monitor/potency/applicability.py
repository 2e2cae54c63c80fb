"""How far a row of features lies from those a model was trained on, and the distance that is refused.

Two questions, one limit. Is the row far out, given how the features vary together (Mahalanobis distance)? And do its
features contradict each other (an area that its width and length do not allow)? Sizes vary so much between cells that
only the second sees a wrong scale of the areas. Positive features are looked at as logarithms: shape relations are
products there, and become sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Matrix = NDArray[np.float64]
FOLDS = 5
LEAST_SCALE = 1e-9
RELATION_FEATURES = 16
"""With more features the products become too many to be learnt; the distance alone decides then."""
ROWS_PER_TERM = 10
RELATION_RIDGE = 1.0


class Relations(BaseModel):
    """What each feature is, given all others: quadratic in them, on standardised features.

    weights: (F, T) for the terms 1, others, products of two others; scale: (F,) robust deviation of what remains;
    usual: the largest deviation that is still usual, in those deviations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: tuple[tuple[float, ...], ...]
    scale: tuple[float, ...]
    usual: float = 1.0

    @classmethod
    def fit(cls, standard: Matrix) -> "Relations":
        """Fit to standardised rows (N, F)."""
        weights, scale = [], []
        for number in range(standard.shape[1]):
            terms = _terms(np.delete(standard, number, axis=1))
            normal = terms.T @ terms + RELATION_RIDGE * np.eye(terms.shape[1])
            weight = np.linalg.solve(normal, terms.T @ standard[:, number])
            weights.append(tuple(weight.tolist()))
            scale.append(max(1.4826 * float(np.median(np.abs(standard[:, number] - terms @ weight))), LEAST_SCALE))
        return cls(weights=tuple(weights), scale=tuple(scale))

    def contradictions(self, standard: Matrix) -> Matrix:
        """Return (N, F) how far each feature of standardised rows is from what the others let expect, in deviations."""
        columns = [
            standard[:, number] - _terms(np.delete(standard, number, axis=1)) @ np.array(weight)
            for number, weight in enumerate(self.weights)
        ]
        deviations: Matrix = np.column_stack(columns) / np.array(self.scale)
        return deviations


class ApplicabilityDomain(BaseModel):
    """Distance to the training rows, with the distance that is refused.

    features: names in order; logarithmic: those looked at as logarithms; centre, scale: (F,); precision: (F, F) of the
    scaled features; usual: the distance that counts as 1; relations: None where there were too many features or too few
    rows; limit: the distance that a share `false_alarm` of new rows of the same kind exceeds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...]
    logarithmic: tuple[str, ...] = ()
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    usual: float = 1.0
    relations: Relations | None = None
    limit: float
    false_alarm: float

    @classmethod
    def fit(
        cls,
        features: Sequence[str],
        rows: Matrix,
        false_alarm: float,
        fold: NDArray[np.int64] | None = None,
        weights: Matrix | None = None,
    ) -> "ApplicabilityDomain":
        """Fit to training rows (N, F), finite.

        The limit is set on rows that were held out (cross-fitting), so that the stated rate holds on new ones: `fold`
        (N,) says which rows are held out together, by default every fifth; `weights` (N,) what each row counts.
        """
        names = tuple(features)
        logs = tuple(name for name, column in zip(names, rows.T, strict=True) if (column > 0.0).all())
        held_out = np.arange(len(rows)) % FOLDS if fold is None else fold
        far, contradicting = np.zeros(len(rows)), np.zeros(len(rows))
        related = True
        for number in np.unique(held_out):
            test = held_out == number
            part = _shape(names, logs, rows[~test])
            related = related and part.relations is not None
            far[test], contradicting[test] = part.parts(rows[test])
        share = np.full(len(rows), 1.0) if weights is None else weights
        whole = _shape(names, logs, rows)
        if whole.relations is None or not related:
            update: dict[str, object] = {"limit": _quantile(far, share, false_alarm), "false_alarm": false_alarm}
            return whole.model_copy(update=update | {"relations": None})
        usual = _quantile(far, share, false_alarm / 2.0)
        at_most = _quantile(contradicting, share, false_alarm / 2.0)
        together = np.maximum(far / usual, contradicting / at_most)
        update = {
            "usual": usual,
            "relations": whole.relations.model_copy(update={"usual": at_most}),
            "limit": _quantile(together, share, false_alarm),
            "false_alarm": false_alarm,
        }
        return whole.model_copy(update=update)

    def distances(self, rows: Matrix) -> Matrix:
        """Return (N,) distances of (N, F) rows; larger than `limit` is unfamiliar, infinite where a value is no number.

        A value that has no logarithm though all training values had one is infinitely far.
        """
        far, contradicting = self.parts(rows)
        return far if self.relations is None else np.maximum(far, contradicting)

    def distance(self, row: Matrix) -> float:
        """Return the distance of one row (F,)."""
        return float(self.distances(row[None])[0])

    def parts(self, rows: Matrix) -> tuple[Matrix, Matrix]:
        """Return (N,) how far out rows are and how far they contradict themselves, each over what is usual."""
        standard = self.standardised(rows)
        possible = np.isfinite(standard).all(axis=1)
        far = np.full(len(rows), np.inf)
        inside = standard[possible]
        far[possible] = np.sqrt(np.einsum("nf,nf->n", inside @ self._arrays.precision, inside)) / self.usual
        if self.relations is None:
            return far, np.zeros(len(rows))
        contradicting = np.full(len(rows), np.inf)
        most = np.abs(self.relations.contradictions(inside)).max(axis=1, initial=0.0)
        contradicting[possible] = most / self.relations.usual
        return far, contradicting

    def strangest(self, rows: Matrix) -> list[str]:
        """Return for each of (N, F) rows the feature that is hardest to believe."""
        standard = self.standardised(rows)
        unbelievable = ~np.isfinite(standard)
        usable = np.where(unbelievable, 0.0, standard)
        share = usable * (usable @ self._arrays.precision)
        if self.relations is not None:
            far, contradicting = self.parts(rows)
            odd = np.abs(self.relations.contradictions(usable))
            share = np.where((contradicting > far)[:, None], odd, share)
        share[unbelievable] = np.inf
        return [self.features[number] for number in share.argmax(axis=1)]

    @cached_property
    def _arrays(self) -> "_Arrays":
        which = [number for number, name in enumerate(self.features) if name in self.logarithmic]
        return _Arrays(np.array(which, np.intp), np.array(self.centre), np.array(self.scale), np.array(self.precision))

    def standardised(self, rows: Matrix) -> Matrix:
        """Return (N, F) rows in deviations from the training rows' mean, logarithms where these had them."""
        arrays = self._arrays
        seen = _logged(rows, arrays.logarithmic) if len(arrays.logarithmic) else rows
        return (seen - arrays.centre) / arrays.scale


@dataclass(frozen=True, slots=True, eq=False)
class _Arrays:
    """The tuples as arrays; they follow from the fields, so two of them never make two models differ."""

    logarithmic: NDArray[np.intp]
    centre: Matrix
    scale: Matrix
    precision: Matrix

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Arrays)

    def __hash__(self) -> int:
        return 0


def _shape(names: tuple[str, ...], logs: tuple[str, ...], rows: Matrix) -> ApplicabilityDomain:
    """Fit everything but the limit."""
    which = np.array([number for number, name in enumerate(names) if name in logs], np.intp)
    seen = _logged(rows, which)
    centre, scale = seen.mean(axis=0), np.maximum(seen.std(axis=0), LEAST_SCALE)
    standard = (seen - centre) / scale
    terms = 1 + (count := len(names) - 1) + count * (count + 1) // 2
    enough = 2 <= len(names) <= RELATION_FEATURES and len(rows) >= ROWS_PER_TERM * terms
    return ApplicabilityDomain(
        features=names,
        logarithmic=logs,
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        precision=tuple(tuple(row) for row in _precision_of(standard).tolist()),
        relations=Relations.fit(standard) if enough else None,
        limit=1.0,
        false_alarm=0.5,
    )


def _precision_of(standard: Matrix) -> Matrix:
    """Inverse covariance, shrunk towards the identity as much as the number of rows asks for (Ledoit & Wolf 2004)."""
    count, width = standard.shape
    covariance = standard.T @ standard / max(count, 1)
    apart = float(((covariance - np.eye(width)) ** 2).sum())
    squares = float((np.einsum("nf,nf->n", standard, standard) ** 2).sum())
    noise = max(squares / count - float((covariance**2).sum()), 0.0) / count
    share = 1.0 if apart <= 0.0 else min(1.0, noise / apart)
    shrunk = (1.0 - share) * covariance + share * np.eye(width)
    precision: Matrix = np.linalg.inv(shrunk + 1e-6 * np.eye(width))
    return precision


def _logged(rows: Matrix, which: NDArray[np.intp]) -> Matrix:
    seen = np.array(rows, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen[:, which] = np.log(seen[:, which])
    return seen


def _terms(others: Matrix) -> Matrix:
    pairs = combinations_with_replacement(range(others.shape[1]), 2)
    return np.column_stack([np.ones(len(others)), others, *(others[:, a] * others[:, b] for a, b in pairs)])


def _quantile(distances: Matrix, weights: Matrix, false_alarm: float) -> float:
    """Return the smallest distance beyond which at most a share `false_alarm` of the weight lies."""
    order = np.argsort(distances)
    beyond = 1.0 - np.cumsum(weights[order]) / weights.sum()
    place = int(np.argmax(beyond <= false_alarm + 1e-12))
    return float(max(distances[order][place], LEAST_SCALE))
