"""The trace of every flask's potency detector, folded from the stored rows once and then row by row.

A row that came late changes what follows it: its flask is folded anew. While nothing else is to do, flasks are folded
ahead in small portions, so that the first look at one does not wait.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from monitor.culture.settings import CultureSettings
from services.alarms.course import PotencyCourse, light_row
from services.state_folder import StateFolder
from services.store.record_view import RecordView, viewed_record

Vector = NDArray[np.float64]
PART = 200


@dataclass(frozen=True, slots=True)
class Trace:
    """A course as arrays (N,), and the detector's constants; grows_below as in `PotencyCourse`."""

    t: Vector
    statistic: Vector
    centre: Vector
    sd: Vector
    limit: float
    detector: str
    provisional: bool
    grows_below: float | None


@dataclass(slots=True)
class _Followed:
    course: PotencyCourse
    rows: int = 0
    ready: bool = False
    last: tuple[str, str] = ("", "")
    turn: threading.Lock = field(default_factory=threading.Lock)


class Traces:
    """Traces by flask; may be asked by several threads.

    Parameters
    ----------
    culture
        The settings that alarms are judged by.
    """

    def __init__(self, state: StateFolder, culture: CultureSettings) -> None:
        self._state = state
        self._culture = culture
        self._followed: dict[str, _Followed] = {}
        self._turn = threading.Lock()

    def of(self, flask: str) -> Trace | None:
        """Return a flask's trace up to its newest row; None before a frame was counted.

        Raises
        ------
        BackPressure
            The record cannot be read now.
        """
        followed = self._place(flask)
        with followed.turn:
            self._catch_up(flask, followed, None)
            course = followed.course
            if not course.t:
                return None
            return Trace(
                t=np.array(course.t),
                statistic=np.array(course.statistic),
                centre=np.array(course.centre),
                sd=np.array(course.sd),
                limit=course.limit,
                detector=course.detector,
                provisional=course.provisional,
                grows_below=course.grows_below,
            )

    def work_ahead(self, flasks: Sequence[str], until: float) -> None:
        """Fold flasks that nobody has looked at yet, for as long as `time.monotonic` is below `until`."""
        for flask in flasks:
            followed = self._place(flask)
            if followed.ready:
                continue
            with followed.turn:
                followed.ready = self._catch_up(flask, followed, until)
            if time.monotonic() >= until:
                return

    def follow(self, culture: CultureSettings) -> None:
        """Judge by these settings: what was folded by others is forgotten."""
        if culture is not self._culture and culture != self._culture:
            self._culture = culture
            self.forget()

    def forget(self) -> None:
        """Fold everything anew, of another record or by other settings."""
        with self._turn:
            self._followed = {}

    def _place(self, flask: str) -> _Followed:
        with self._turn:
            if flask not in self._followed:
                self._followed[flask] = _Followed(PotencyCourse(flask, self._culture))
            return self._followed[flask]

    def _catch_up(self, flask: str, followed: _Followed, until: float | None) -> bool:
        with viewed_record(self._state.record) as record:
            if record is None:
                return True
            count = record.count_rows(flask)
            while followed.rows != count:
                if until is not None and time.monotonic() >= until:
                    return False
                if not _fold_some(record, flask, followed):  # what is missing belongs before the last one
                    followed.course, followed.rows, followed.last = PotencyCourse(flask, self._culture), 0, ("", "")
        return True


def _fold_some(record: RecordView, flask: str, followed: _Followed) -> int:
    """Take the next rows in the order of the fold; return how many there were."""
    part = record.rows_after(flask, followed.last, PART)
    for at, row_id, fact in part:
        followed.course.take(light_row(from_json(fact)))
        followed.last = (at, row_id)
    followed.rows += len(part)
    return len(part)
