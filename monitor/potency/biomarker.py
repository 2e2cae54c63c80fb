"""One biomarker of a model: its trees, and what their answers mean."""

import re
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from monitor.potency.calibration import Interval, Platt
from monitor.potency.single_row import SingleRowPredictor

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm

Matrix = NDArray[np.float64]
Kind = Literal["regressor", "classifier"]
QUANTILES = {"low": 0.05, "middle": 0.5, "high": 0.95}
"""Heads of a regressor; the outer two are conformalised."""
UNDECIDED = "undecided"
MARGIN = "margin"
"""The head of a classifier."""
HEADS: dict[Kind, tuple[str, ...]] = {"regressor": tuple(QUANTILES), "classifier": (MARGIN,)}


class IndexFormula(BaseModel):
    """A potency index: sum of weight times 100 times biomarker over its mean in the reference lot, in percent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: dict[str, float]
    reference_lot: str
    reference: dict[str, float]


class BiomarkerSpec(BaseModel):
    """Name, unit and kind; files by head; for a classifier the labels of class 0 and 1; for an index its formula."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    unit: str = ""
    kind: Kind = "regressor"
    files: dict[str, str]
    labels: tuple[str, str] = ("0", "1")
    index: IndexFormula | None = None


class Biomarker:
    """Answers for one biomarker."""

    def __init__(
        self, spec: BiomarkerSpec, boosters: "Mapping[str, lightgbm.Booster]", meaning: Interval | Platt
    ) -> None:
        self.spec = spec
        self._heads = HEADS[spec.kind]
        self._boosters = boosters
        self._single = {name: SingleRowPredictor(boosters[name], raw=name == MARGIN) for name in self._heads}
        self._meaning = meaning

    def answers(self, rows: Matrix) -> Matrix:
        """Return (N, 3) low, middle, high of a regressor, or (N, 1) probabilities of class 1, for rows (N, F)."""
        return self._meaning.applied(self.raw(rows))

    def raw(self, rows: Matrix) -> Matrix:
        """Return what the trees say before calibration: (N, 3) sorted quantiles, or (N, 1) margins, of rows (N, F)."""
        raw = np.column_stack([self._predicted(name, rows) for name in self._heads])
        return np.sort(raw, axis=1)

    def open_classes(self, probability: Matrix) -> list[str]:
        """Return the label of the class of each of (N,) probabilities; `undecided` where both stay open.

        Raises
        ------
        TypeError
            When this is a regressor, which has no classes.
        """
        if not isinstance(self._meaning, Platt):
            message = f"{self.spec.name} is measured, it has no classes"
            raise TypeError(message)
        opened = self._meaning.classes(probability).tolist()
        return [UNDECIDED if zero and one else self.spec.labels[int(one)] for zero, one in opened]

    def contributions(self, rows: Matrix) -> Matrix:
        """Return (N, F) what each feature adds to the middle answer, or to the log odds, of rows (N, F).

        Exact Shapley values of the trees (Lundberg, Erion & Lee 2018, arXiv 1802.03888), as LightGBM computes them.
        """
        if not len(rows):
            return np.empty(rows.shape)  # LightGBM divides by the number of rows
        booster = self._boosters[MARGIN if self.spec.kind == "classifier" else "middle"]
        found = np.asarray(booster.predict(rows, pred_contrib=True, num_threads=1), np.float64)
        contributions: Matrix = found[:, :-1]
        return contributions * (self._meaning.slope if isinstance(self._meaning, Platt) else 1.0)

    def _predicted(self, name: str, rows: Matrix) -> Matrix:
        if len(rows) == 1:
            return np.array([self._single[name].predict(rows[0])])
        raw = {"raw_score": True} if name == MARGIN else {}
        return np.asarray(self._boosters[name].predict(rows, num_threads=1, **raw), np.float64)


def file_names(name: str, kind: Kind, taken: set[str]) -> dict[str, str]:
    """Return a file name for each head of a biomarker, readable and unlike those taken; they are taken then.

    >>> file_names("PD-L1 (MFI)", "classifier", set())
    {'margin': 'pd-l1-mfi.margin.txt'}
    """
    stem = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-") or "biomarker"
    number, chosen = 1, stem
    while any(file.split(".")[0] == chosen for file in taken):
        number, chosen = number + 1, f"{stem}-{number + 1}"
    files = {head: f"{chosen}.{head}.txt" for head in HEADS[kind]}
    taken |= set(files.values())
    return files
