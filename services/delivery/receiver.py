"""What a receiver of alarms is: a way out of the outbox, such as a webhook or the terminal."""

from typing import Protocol

from monitor.errors import CellvigilError
from monitor.messages import AlarmChanged, AlarmsGrouped

Notice = AlarmChanged | AlarmsGrouped
"""What is sent at one time: one change, or several where many came together."""


class DeliveryFailed(CellvigilError):
    """The receiver did not take an event.

    Parameters
    ----------
    message
        What happened, without secrets: it is logged and stored.
    refused
        The event or the address is at fault, so that trying again hardly helps.
    pause_s
        How long the receiver asked to be left alone; None when it did not say.
    """

    def __init__(self, message: str, *, refused: bool = False, pause_s: float | None = None) -> None:
        super().__init__(message, reason="refused" if refused else "not_delivered")
        self.refused = refused
        self.pause_s = pause_s


class Receiver(Protocol):
    """One who is told; a new way of telling is a new file in this folder."""

    @property
    def name(self) -> str:
        """Name in the outbox: the same after a restart, no two alike, without secrets."""

    @property
    def grouped(self) -> bool:
        """Whether it calls people, who get several changes in one notification when many come together."""

    def send(self, event: Notice) -> None:
        """Deliver one notification; return only when it has been taken, else raise `DeliveryFailed`."""


def notice_id(notice: Notice) -> str:
    """Return the id by which a receiver can tell a notification that it has had."""
    return notice.event_id if isinstance(notice, AlarmChanged) else notice.group_id


def changes_of(notice: Notice) -> tuple[AlarmChanged, ...]:
    """Return what a notification tells of, in order."""
    return (notice,) if isinstance(notice, AlarmChanged) else notice.changes
