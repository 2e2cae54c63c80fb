"""Why an estimate is what it is: the features that moved it most, in words and units."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.features.catalogue import population_features
from monitor.potency.model import PotencyModel

Matrix = NDArray[np.float64]
STATISTICS = {"median": "median", "iqr": "quartile range of", "p10": "smallest tenth of", "p90": "largest tenth of"}
SAME_PERCENT = 1.0


@dataclass(frozen=True, slots=True)
class Driver:
    """One feature of a row, and what it did.

    value: in `unit`; usual: its reference value, None where none is known, at `hour` since seeding where hours are
    known; effect: what it adds to the estimate, in the biomarker's unit, or to the log odds of a classifier.
    """

    feature: str
    words: str
    unit: str
    value: float
    usual: float | None
    hour: float | None
    effect: float
    biomarker: str
    effect_unit: str

    @property
    def percent(self) -> float | None:
        """How far the value is above (or, negative, below) the usual one, in percent of it."""
        if self.usual is None or self.usual == 0.0:
            return None
        return 100.0 * (self.value - self.usual) / abs(self.usual)

    def sentence(self) -> str:
        """Return it as people say it: `median cell area 31 % above the reference at hour 48`."""
        at = "" if self.hour is None else f" at hour {self.hour:g}"
        if self.usual is None:
            place = f"{self.value:.4g} {self.unit}".rstrip()
        elif self.percent is None:
            place = f"{self.value:.4g} {self.unit}".rstrip() + f", the reference{at} is {self.usual:.4g}"
        elif abs(self.percent) < SAME_PERCENT:
            place = f"as the reference{at} ({self.value:.4g} {self.unit}".rstrip() + ")"
        else:
            side = "above" if self.percent > 0.0 else "below"
            values = f"{self.value:.4g} against {self.usual:.4g} {self.unit}".rstrip()
            place = f"{abs(self.percent):.0f} % {side} the reference{at} ({values})"
        does = "raises" if self.effect > 0.0 else "lowers"
        return f"{self.words} {place}: {does} {self.biomarker} by {abs(self.effect):.3g} {self.effect_unit}".rstrip()


def explain(
    model: PotencyModel, biomarker: str, rows: Matrix, hours: Iterable[float | None] | None = None, top: int = 3
) -> list[tuple[Driver, ...]]:
    """Return for each row (N, F), in the contract's order, the features that moved a biomarker most, strongest first.

    Effects are against the mean of the training rows (Shapley values, see `Biomarker.contributions`); the reference of
    the values is the one stored with the model, at the nearest hour since seeding where `hours` (N,) are given.
    """
    spec = model.biomarkers[biomarker].spec
    unit = spec.unit if spec.kind == "regressor" else "in log odds"
    effects = model.contributions(biomarker, rows)
    known = [None] * len(rows) if hours is None else list(hours)
    explained = []
    for row, effect, hour in zip(rows, effects, known, strict=True):
        strongest = [number for number in np.argsort(-np.abs(effect))[:top] if effect[number] != 0.0]
        explained.append(
            tuple(_driver(model, int(n), float(row[n]), float(effect[n]), hour, biomarker, unit) for n in strongest)
        )
    return explained


def explain_frame(
    model: PotencyModel, features: dict[str, float], hours: float | None = None, top: int = 3
) -> tuple[Driver, ...]:
    """Return the features that moved the potency of a live frame most; empty when one could not be measured."""
    row = model.contract.row(features)
    if row is None:
        return ()
    return explain(model, model.live_biomarker.spec.name, row[None], [hours], top)[0]


def _driver(
    model: PotencyModel, number: int, value: float, effect: float, hour: float | None, biomarker: str, unit: str
) -> Driver:
    feature = model.contract.features[number]
    usual = model.spec.reference.at(feature, hour)
    words, own_unit = _words(feature)
    return Driver(
        feature=feature,
        words=words,
        unit=own_unit,
        value=value,
        usual=None if usual is None else usual[0],
        hour=None if usual is None else usual[1],
        effect=effect,
        biomarker=biomarker,
        effect_unit=unit,
    )


def _words(feature: str) -> tuple[str, str]:
    """Return a feature in words, with its unit; a column of a user's own table keeps its name, without unit.

    >>> _words("area_median"), _words("nucleus_area_p90"), _words("DAPI_width")
    (('median cell area', 'um2'), ('largest tenth of nucleus area', 'um2'), ('DAPI width', ''))
    """
    try:
        (entry,) = population_features((feature,))
    except KeyError:
        return feature.replace("_", " "), ""
    base, _, short = feature.rpartition("_")
    unit = "" if entry.unit == "1" else entry.unit
    if short not in STATISTICS:
        return feature.replace("_", " "), unit
    whose = "" if base.startswith(("nucleus", "cell")) else "cell "
    return f"{STATISTICS[short]} {whose}{base.replace('_', ' ')}", unit
