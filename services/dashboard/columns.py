"""A flask's estimates as plain columns: what the page draws from, a hundredth of the stored rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS = (
    "t",
    "potency",
    "low",
    "high",
    "rolling",
    "rolling_low",
    "rolling_high",
    "trend",
    "cells",
    "nuclei",
    "confluency",
    "focus",
    "illumination",
    "doubt",
    "debris",
    "saturated",
    "cut",
    "merged",
    "passes",
)
"""Of each frame; t: seconds since 1970; potency, low, high: of the frame alone; the others as in `PotencyEstimated`."""
AT = {name: place for place, name in enumerate(NUMBERS)}
ROOM = 64


@dataclass(frozen=True, slots=True)
class Row:
    """One estimate as it was read: its place in the flask's order, the numbers, and what is no number.

    model: digest of the potency model that made it.
    """

    frame_id: str
    revision: int
    numbers: tuple[float, ...]
    series: tuple[str, str]
    reason: str | None
    model: str

    @property
    def order(self) -> tuple[float, str]:
        """Key of the order: time of acquisition, then id."""
        return self.numbers[0], self.frame_id


def row_of(frame_id: str, revision: int, fact: dict[str, Any]) -> Row:
    """Return a row from an estimate as it is stored."""
    worth, rolling, quality = fact["estimate"], fact["rolling"], fact["quality"]
    found = (
        seconds_of(fact["acquired_at"]),
        worth["potency"],
        worth["low"],
        worth["high"],
        rolling["potency"],
        rolling["low"],
        rolling["high"],
        rolling["trend_per_day"],
        fact["n_cells"],
        fact["n_nuclei"],
        quality["confluency"],
        quality["focus"],
        quality["illumination"],
        quality["doubt"],
        quality.get("debris_fraction"),
        quality["saturated_fraction"],
        quality.get("cut_fraction"),
        quality.get("merged_fraction"),
        quality["passes"],
    )
    numbers = tuple(np.nan if value is None else float(value) for value in found)
    reason = None if worth["state"] == "ok" else worth["reason"] or "not_assessable"
    series = fact["key"]["position"], fact["key"]["channel"]
    return Row(frame_id, revision, numbers, series, reason, fact["provenance"]["potency_model"])


def seconds_of(text: str) -> float:
    """Return seconds since 1970 of a stored time.

    >>> seconds_of("2026-03-10T12:00:00Z")
    1773144000.0
    """
    return datetime.fromisoformat(text).timestamp()


def moment_of(seconds: float) -> datetime:
    """Return a time from seconds since 1970, UTC."""
    return datetime.fromtimestamp(seconds, UTC)


class Columns:
    """Estimates of one flask in the order of acquisition; grown in place, late ones put where they belong."""

    def __init__(self) -> None:
        self._numbers: NDArray[np.float64] = np.empty((ROOM, len(NUMBERS)))
        self._ids: list[str] = []
        self._revisions: list[int] = []
        self._series: list[int] = []
        self._reasons: list[str | None] = []
        self._names: list[tuple[str, str]] = []
        self._places: dict[tuple[str, str], int] = {}
        self.models: set[str] = set()
        """Digests of the potency models that made estimates here."""

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def order(self) -> tuple[float, str]:
        """Order of the newest row; before everything where there is none."""
        return (float(self._numbers[len(self) - 1, 0]), self._ids[-1]) if self._ids else (-np.inf, "")

    @property
    def revisions(self) -> int:
        """Sum of the revisions, by which a change anywhere shows."""
        return sum(self._revisions)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return (N,) one of `NUMBERS`, a view; NaN where it is not known."""
        return self._numbers[: len(self), AT[name]]

    def newest(self, name: str) -> float | None:
        """Return a number of the newest row; None where it is not known or there is none."""
        if not self._ids:
            return None
        value = float(self._numbers[len(self) - 1, AT[name]])
        return None if np.isnan(value) else value

    @property
    def ids(self) -> Sequence[str]:
        """frame_id of every row."""
        return self._ids

    @property
    def reasons(self) -> Sequence[str | None]:
        """Why a row was not assessable; None where it was."""
        return self._reasons

    @property
    def series(self) -> NDArray[np.int64]:
        """(N,) number of every row's position and channel, as in `names`."""
        return np.asarray(self._series, np.int64)

    @property
    def names(self) -> Sequence[tuple[str, str]]:
        """(position, channel) by number."""
        return self._names

    def last_of_each(self, column: str) -> float:
        """Return the sum of a column over the newest row of each position and channel."""
        seen: set[int] = set()
        total = 0.0
        for place in range(len(self) - 1, -1, -1):
            if self._series[place] not in seen:
                seen.add(self._series[place])
                total += float(self._numbers[place, AT[column]])
                if len(seen) == len(self._names):
                    break
        return total

    def last_times(self, most: int) -> list[float]:
        """Return the newest distinct times of the newest row's position and channel, ascending, at most so many."""
        if not self._ids:
            return []
        same = self._series[-1]
        found: list[float] = []
        for place in range(len(self) - 1, -1, -1):
            t = float(self._numbers[place, 0])
            if self._series[place] == same and (not found or found[-1] != t):
                found.append(t)
                if len(found) == most:
                    break
        return found[::-1]

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows that come after all that are there, in their order."""
        need = len(self) + len(rows)
        if need > len(self._numbers):
            grown = np.empty((max(need, 2 * len(self._numbers)), len(NUMBERS)))
            grown[: len(self)] = self._numbers[: len(self)]
            self._numbers = grown
        self._numbers[len(self) : need] = [row.numbers for row in rows]
        for row in rows:
            self._ids.append(row.frame_id)
            self._revisions.append(row.revision)
            self._series.append(self._number(row.series))
            self._reasons.append(row.reason)
            self.models.add(row.model)

    def cut(self, from_t: float) -> None:
        """Drop the rows from a time on, to read them anew."""
        keep = int(np.searchsorted(self.column("t"), from_t, side="left"))
        del self._ids[keep:], self._revisions[keep:], self._series[keep:], self._reasons[keep:]

    def _number(self, series: tuple[str, str]) -> int:
        if series not in self._places:
            self._places[series] = len(self._names)
            self._names.append(series)
        return self._places[series]
