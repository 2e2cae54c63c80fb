"""The quantities that a flask's course is drawn in."""

from dataclasses import dataclass
from typing import Literal

from services.dashboard.columns import Columns
from services.dashboard.schemas import SeriesName


@dataclass(frozen=True, slots=True)
class Quantity:
    """One series: its name for people, its unit, which series share its axis, and the columns it is made of."""

    label: str
    unit: str
    group: Literal["potency", "culture", "quality"]
    column: str
    low: str | None = None
    high: str | None = None
    digits: int = 3

    @property
    def shape(self) -> SeriesName:
        """What it is, for the page."""
        return SeriesName(label=self.label, unit=self.unit, group=self.group)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it is made of: value, and bounds where it has them."""
        return (self.column,) if self.low is None or self.high is None else (self.column, self.low, self.high)

    def newest(self, columns: Columns) -> list[float | None]:
        """Return value, low and high of the newest frame."""
        found = [columns.newest(name) for name in self.columns]
        rounded = [None if value is None else round(value, self.digits) for value in found]
        return rounded if len(rounded) == 3 else [*rounded, None, None]


QUANTITIES = {
    "potency": Quantity("potency, rolling", "%", "potency", "rolling", "rolling_low", "rolling_high", 2),
    "potency_frame": Quantity("potency of single frames", "%", "potency", "potency", "low", "high", 2),
    "cells": Quantity("cells in a field", "cells", "culture", "cells", digits=0),
    "nuclei": Quantity("nuclei in a field", "nuclei", "culture", "nuclei", digits=0),
    "confluency": Quantity("confluency", "share", "culture", "confluency", digits=4),
    "focus": Quantity("focus, higher is sharper", "1", "quality", "focus"),
    "illumination": Quantity("unevenness of light", "1", "quality", "illumination", digits=4),
    "doubt": Quantity("doubt of the outlines", "share", "quality", "doubt", digits=4),
    "debris": Quantity("debris on the ground", "share", "quality", "debris", digits=4),
    "saturated": Quantity("saturated pixels", "share", "quality", "saturated", digits=4),
}
