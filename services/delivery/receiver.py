"""What a receiver of alarms is: a way out of the outbox, such as a webhook or the terminal."""

from typing import Protocol

from monitor.errors import CellvigilError
from monitor.messages import AlarmChanged


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

    def send(self, event: AlarmChanged) -> None:
        """Deliver one event; return only when it has been taken, else raise `DeliveryFailed`."""
