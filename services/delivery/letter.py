"""One change for one receiver, as the outbox keeps it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from monitor.messages import AlarmChanged

COLUMNS = (
    "d.event_id, d.receiver, d.state, d.attempts, d.refusals, d.added_at, d.next_try, d.delivered_at, d.last_error"
)


class DeliveryState(StrEnum):
    """What became of an event for one receiver."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Letter:
    """One event for one receiver; times are UTC.

    refusals: attempts that the receiver answered with "this is wrong"; next_try: when it is due, meaningful while it
    waits; delivered_at: None unless it was delivered; last_error: empty when the last attempt did not fail.
    """

    event_id: str
    receiver: str
    state: DeliveryState
    attempts: int
    refusals: int
    added_at: datetime
    next_try: datetime
    delivered_at: datetime | None
    last_error: str
    fact: AlarmChanged


def letter_of(row: tuple[Any, ...]) -> Letter:
    """Return a letter from a row of `COLUMNS` and the event's fact."""
    event_id, receiver, state, attempts, refusals, added_at, next_try, delivered_at, last_error, fact = row
    return Letter(
        event_id=event_id,
        receiver=receiver,
        state=DeliveryState(state),
        attempts=attempts,
        refusals=refusals,
        added_at=moment_of(added_at),
        next_try=moment_of(next_try),
        delivered_at=None if delivered_at is None else moment_of(delivered_at),
        last_error=last_error,
        fact=AlarmChanged.model_validate_json(fact),
    )


def moment_of(seconds: float) -> datetime:
    """Return a time from seconds since 1970."""
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
