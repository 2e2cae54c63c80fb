"""What a model is trained on, in memory: features by row, biomarkers, and what belongs together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.errors import SettingsError
from monitor.potency.biomarker import IndexFormula, Kind
from monitor.potency.conditions import Value
from monitor.potency.number import is_measured, number_of

Matrix = NDArray[np.float64]
Labels = NDArray[np.str_]
INDEX = "potency_index"
DENSITY = ("confluency", "cell_density")
"""Features that crowding is read from, the first that there is."""


@dataclass(frozen=True, slots=True)
class Target:
    """A biomarker: values (N,), NaN where it was not measured; classes are 0 and 1 with their `labels`."""

    values: Matrix
    unit: str = ""
    kind: Kind = "regressor"
    labels: tuple[str, str] = ("0", "1")
    index: IndexFormula | None = None


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """Rows (N, F) in the order of `features`, finite, with everything that is known of each.

    group: (N,) held out together (donor, lot, passage), None where rows belong to nothing; unit: (N,) the flask that a
    row comes from, which carries one assay result; conditions: by the names of `monitor.potency.conditions`.
    """

    features: tuple[str, ...]
    rows: Matrix
    targets: Mapping[str, Target]
    group: Labels | None = None
    unit: Labels | None = None
    conditions: Mapping[str, Sequence[Value]] = field(default_factory=dict)

    @property
    def units(self) -> Labels:
        """(N,) what counts as one piece of evidence: the flask of its group, else the group, else the row."""
        parts = [part for part in (self.group, self.unit) if part is not None]
        if len(parts) == 2:
            return np.array([f"{group}/{unit}" for group, unit in zip(*parts, strict=True)], str)
        return parts[0] if parts else np.arange(len(self.rows)).astype(str)

    @property
    def density(self) -> str | None:
        """The feature that crowding is read from."""
        return next((name for name in DENSITY if name in self.features), None)

    @property
    def hours(self) -> Matrix | None:
        """(N,) hours since seeding, NaN where not known."""
        hours = self.conditions.get("hours")
        if hours is None:
            return None
        return np.array([np.nan if value is None else value for value in hours], float)


def make_target(name: str, texts: Sequence[str | float | None], *, unit: str = "", kind: str | None = None) -> Target:
    """Return a target from values that may be text: two different ones make a classifier, numbers a regressor.

    Raises
    ------
    SettingsError
        When all values are alike, or text has more than two.
    """
    numbers = [_number(text) for text in texts]
    textual = [t for t, n in zip(texts, numbers, strict=True) if n is None and t not in (None, "")]
    distinct = sorted({str(text) for text in texts if text not in (None, "")}, key=_order)
    if len(distinct) < 2:
        message = (
            f"the biomarker {name!r} is {distinct[0] if distinct else 'empty'} in every row; nothing can be learnt"
        )
        raise SettingsError(f"{message} from it: choose another, or add samples that differ", reason="target")
    if textual and len(distinct) > 2:
        message = f"the biomarker {name!r} holds {textual[0]!r}, which is no number; correct it, or give two classes"
        raise SettingsError(message, reason="target")
    values = sorted({number for number in numbers if number is not None})
    two = len(distinct) == 2 if textual else len(values) == 2
    chosen = kind or ("classifier" if two else "regressor")
    if chosen == "classifier" and not two:
        message = (
            f"the biomarker {name!r} has {len(distinct)} different values; a classifier needs two: leave --kind out"
        )
        raise SettingsError(message, reason="target")
    if chosen == "regressor":
        if textual:
            message = f"the biomarker {name!r} holds {textual[0]!r}; a regressor needs numbers: leave --kind out"
            raise SettingsError(message, reason="target")
        return Target(np.array([np.nan if n is None else n for n in numbers], float), unit)
    if textual:
        codes = [np.nan if t in (None, "") else float(str(t) == distinct[1]) for t in texts]
        return Target(np.array(codes, float), unit, "classifier", (distinct[0], distinct[1]))
    codes = [np.nan if n is None else float(n == values[1]) for n in numbers]
    return Target(np.array(codes, float), unit, "classifier", (f"{values[0]:g}", f"{values[1]:g}"))


def add_index(table: TrainingTable, weights: Mapping[str, float], lot: Labels, reference_lot: str) -> Target:
    """Return the potency index of every row, in percent of a reference lot; lot (N,) names the lot of each row.

    Each biomarker is taken relative to its mean over the flasks of the reference lot, then weighted; weights are
    brought to a sum of 1.

    Raises
    ------
    SettingsError
        When a biomarker is unknown or has classes, the weights do not add up to more than 0, or the reference lot has
        no usable value.
    """
    total = sum(weights.values())
    if total <= 0.0 or min(weights.values()) < 0.0:
        message = "the weights of --index have to be 0 or more, one at least above 0; write them as IDO=0.5,PGE2=0.5"
        raise SettingsError(message, reason="index")
    reference, index = {}, np.zeros(len(table.rows))
    inside = lot == reference_lot
    if not inside.any():
        some = ", ".join(sorted(set(lot.tolist()))[:6])
        message = f"no row belongs to the reference {reference_lot!r}; name one of those in the table: {some}"
        raise SettingsError(message, reason="index")
    for name, weight in weights.items():
        target = table.targets.get(name)
        if target is None or target.kind != "regressor":
            known = ", ".join(n for n, t in table.targets.items() if t.kind == "regressor") or "none"
            message = f"the index weighs {name!r}, which is no measured biomarker here; measured are: {known}"
            raise SettingsError(message, reason="index")
        flasks = {
            unit: value
            for unit, value in zip(table.units[inside], target.values[inside], strict=True)
            if np.isfinite(value)
        }
        reference[name] = float(np.mean(list(flasks.values()))) if flasks else float("nan")
        if not reference[name] > 0.0:
            message = f"{name} of the reference {reference_lot!r} is {reference[name]:g}; an index needs one above 0"
            raise SettingsError(message, reason="index")
        index += weight / total * 100.0 * target.values / reference[name]
    formula = IndexFormula(
        weights={name: weight / total for name, weight in weights.items()},
        reference_lot=reference_lot,
        reference=reference,
    )
    return Target(index, f"% of {reference_lot}", "regressor", index=formula)


def _number(text: str | float | None) -> float | None:
    number = number_of(text)
    return number if is_measured(number) else None


def _order(text: str) -> tuple[int, float, str]:
    number = _number(text)
    return (1, 0.0, text) if number is None else (0, number, text)
