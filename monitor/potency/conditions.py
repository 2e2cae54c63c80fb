"""Under which conditions a model was trained: stimulation, medium, passage, hours since seeding, confluency.

A model of wells primed with IFN-gamma knows nothing about unprimed ones (Klinker et al. 2017: three features that told
suppression apart after priming did not without it), so what was never trained is refused, not guessed.
"""

import math
import unicodedata
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

Value = str | float | None
KINDS = ("stimulation", "medium")
RANGES = ("passage", "hours", "confluency")
NOTHING = frozenset({"", "none", "no", "nil", "untreated", "unstimulated", "unprimed", "control", "0", "-"})


class Conditions(BaseModel):
    """What the training rows covered.

    kinds: the values that were seen, as first written; ranges: smallest and largest; open: conditions that some
    training row left empty, which new rows may leave empty too. A condition that is absent was never recorded, not even
    once, and is not asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: dict[str, tuple[str, ...]] = {}
    ranges: dict[str, tuple[float, float]] = {}
    open: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[Value]]) -> "Conditions":
        """Return what columns of training rows, named as in `KINDS` and `RANGES`, cover."""
        kinds: dict[str, tuple[str, ...]] = {}
        ranges: dict[str, tuple[float, float]] = {}
        unknown = []
        for name, values in columns.items():
            if all(value is None or value == "" for value in values):
                continue
            if name in KINDS:
                spelled: dict[str, str] = {}
                for value in values:
                    spelled.setdefault(plain(value), str(value or "none"))
                kinds[name] = tuple(spelled.values())
                continue
            numbers = [float(value) for value in values if is_number(value)]  # type: ignore[arg-type]  # just asked
            if len(numbers) < len(values):
                unknown.append(name)
            if numbers:
                ranges[name] = (min(numbers), max(numbers))
        return cls(kinds=kinds, ranges=ranges, open=tuple(unknown))

    def refusal(self, values: Mapping[str, Value]) -> tuple[str, str] | None:
        """Return reason and sentence where a row's conditions were not trained; None where they were."""
        for name, seen in self.kinds.items():
            if name not in values:
                return f"{name}_unknown", f"{name} is not given; the model was trained with {name} {' or '.join(seen)}"
            if plain(values[name]) not in {plain(value) for value in seen}:
                given = values[name] or "none"
                return f"{name}_not_trained", f"{name} is {given}; the model was trained with {' or '.join(seen)}"
        for name, (low, high) in self.ranges.items():
            value = values.get(name)
            if not is_number(value):
                if name not in self.open:
                    return f"{name}_unknown", f"{name} is not given; the model was trained with {low:g} to {high:g}"
            elif not low <= float(value) <= high:  # type: ignore[arg-type]  # a number, as just asked
                return f"{name}_not_trained", f"{name} is {value:g}; the model was trained with {low:g} to {high:g}"
        return None


def plain(value: Value) -> str:
    """Return a name without case, spaces, hyphens and Greek letters, so that spellings of one stimulus agree.

    >>> plain("IFN-γ") == plain("ifn gamma"), plain(None) == plain("unstimulated") == plain("none")
    (True, True)
    """
    text = unicodedata.normalize("NFKC", "" if value is None else str(value)).casefold().strip()
    if text in NOTHING:
        return ""
    for letter, name in {"α": "alpha", "β": "beta", "γ": "gamma", "µ": "u", "μ": "u"}.items():
        text = text.replace(letter, name)
    return "".join(character for character in text if character.isalnum() or character in "+.%/")


def is_number(value: Value) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)
