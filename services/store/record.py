"""The record as a protocol: what every stage stores before it publishes, and what replays and pages read.

Rows are facts and are never deleted; every `put` is idempotent by the fact's own id, so that a second delivery
changes nothing. One role writes each table: segmenter `segmentations`, predictor culture rows, `estimates`, `drifts`,
`alarms`, `standings` and `audit`, operators' commands and the page `actions` and deeds in `audit`, any stage
`failures`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from monitor.culture.rows import CultureRow, FrameRow
from monitor.culture.standing import AlarmStanding, AlarmTransition
from monitor.messages import (
    AlarmChanged,
    DriftDetected,
    FrameFailed,
    FrameSegmented,
    OperatorActed,
    PotencyEstimated,
)
from services.store.audit import AuditLine, UserAction
from services.store.silence import Silence


class FlaskTransaction(Protocol):
    """Exclusive access to one flask's rows, so that two predictors never fold the same flask at once."""

    def add(self, row: CultureRow) -> bool:
        """Store a row; False when a row with its id was stored before."""

    def count(self) -> int:
        """Return how many rows the flask has, the added one included."""

    def rows(self) -> list[CultureRow]:
        """Return every row of the flask in the order of the fold: time, then row id."""

    def estimates(self) -> dict[str, PotencyEstimated]:
        """Return the newest revision of every estimate of the flask by frame_id."""

    def put_estimates(self, estimates: Iterable[PotencyEstimated]) -> None:
        """Store estimates; a higher revision supersedes, an equal or lower one changes nothing."""

    def put_drifts(self, drifts: Iterable[DriftDetected]) -> list[DriftDetected]:
        """Store drift events; return those that were new."""

    def put_alarms(self, alarms: Iterable[AlarmChanged]) -> list[AlarmChanged]:
        """Store alarm events; return those that were new."""

    def withdraw_alarms_except(self, event_ids: set[str]) -> None:
        """Mark stored alarm events of the flask that the fold no longer yields as withdrawn; none is deleted."""

    def put_standings(self, standings: Sequence[AlarmStanding]) -> None:
        """Store where the flask's alarms stand now, in place of what stood there."""

    def audit_action(self, acted: OperatorActed) -> None:
        """Append to the audit log that an operator acted."""

    def audit_moves(self, moves: Iterable[AlarmTransition]) -> None:
        """Append transitions to the audit log."""

    def audit_history(self, moves: Sequence[AlarmTransition]) -> None:
        """Bring the audit log up to the flask's whole history: append what is new, and what is not so after all."""


class Record(Protocol):
    """Stored facts of one installation."""

    def put_segmentations(self, facts: Sequence[FrameSegmented]) -> None:
        """Store segmentations; one that is there already is left alone."""

    def segmentation(self, frame_id: str) -> FrameSegmented | None:
        """Return the stored segmentation of a frame."""

    def put_failure(self, failure: FrameFailed) -> None:
        """Store that a stage gave a frame up; the first reason stays."""

    def failures(self) -> list[FrameFailed]:
        """Return every failure."""

    def flask(self, flask: str) -> AbstractContextManager[FlaskTransaction]:
        """Open a write transaction on a flask; commits on leaving, rolls back on an error."""

    def flasks(self) -> list[str]:
        """Return the names of all flasks that have rows, sorted."""

    def put_action(self, acted: OperatorActed) -> None:
        """Store what an operator wants, until a predictor has made it part of the flask's history."""

    def waiting_actions(self) -> list[OperatorActed]:
        """Return operators' actions that are not part of a history yet, oldest first."""

    def put_user_action(self, deed: UserAction) -> None:
        """Append to the audit log what somebody did that is about no alarm."""

    def put_silence(self, silence: Silence) -> None:
        """Store a silence, or that it was ended."""

    def silences(self) -> list[Silence]:
        """Return every silence that was ever set, in the order of setting."""

    def standings(self) -> list[AlarmStanding]:
        """Return the alarms that are not normal, by flask."""

    def audit_lines(self) -> Iterator[AuditLine]:
        """Yield the audit log from its beginning."""

    def newest_at(self, flask: str) -> datetime | None:
        """Return the time of the newest row of a flask, of one that waits too; None when it has none."""

    def culture_rows(self, flask: str) -> list[CultureRow]:
        """Return every row of a flask in the order of the fold."""

    def estimates_of(self, frame_ids: Sequence[str]) -> dict[str, PotencyEstimated]:
        """Return the newest revision of the estimates of some frames, by id."""

    def failures_of(self, frame_ids: Sequence[str]) -> dict[str, FrameFailed]:
        """Return the failures of some frames, by id."""

    def potency_models(self) -> set[str]:
        """Return the digests of the potency models that made estimates."""

    def settled(self, frame_ids: Sequence[str]) -> set[str]:
        """Return which of some frames have an estimate or a failure."""

    def frame_rows(self, flask: str | None = None) -> list[FrameRow]:
        """Return stored measurements, of one flask or all, ordered by time and id."""

    def estimates(self, flask: str | None = None, since: datetime | None = None) -> list[PotencyEstimated]:
        """Return the newest revision of each estimate, ordered by acquisition time and frame_id."""

    def alarms(self, flask: str | None = None, *, withdrawn: bool = False) -> list[AlarmChanged]:
        """Return alarm events in order of time; withdrawn ones only on request."""

    def drifts(self, flask: str | None = None) -> list[DriftDetected]:
        """Return drift events in order of time."""

    def close(self) -> None:
        """Close the connection."""
