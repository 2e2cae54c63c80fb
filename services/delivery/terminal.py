"""The terminal as a receiver: one readable line per change of an alarm."""

import sys
from datetime import UTC
from typing import TextIO

from rich.console import Console
from rich.text import Text

from monitor.messages import AlarmChanged, AlarmState
from services.delivery.receiver import DeliveryFailed, Notice, changes_of
from services.telemetry import printable

STYLES = {"high": "bold red", "medium": "bold yellow", "low": "yellow"}
CLEARED_STYLE = "green"


class Terminal:
    """Writes to a text stream: in colour where it is a terminal, plain lines elsewhere.

    Parameters
    ----------
    stream
        Where to write; standard error, as it is when an alarm comes, when None.

    >>> Terminal().name
    'terminal'
    """

    name = "terminal"
    grouped = False

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def send(self, event: Notice) -> None:
        """Write one line per change; raise `DeliveryFailed` when nobody can read it."""
        for change in changes_of(event):
            self._write(change)

    def _write(self, event: AlarmChanged) -> None:
        stream = self._stream or sys.stderr
        line = alarm_line(event)
        try:
            if stream.isatty():
                style = STYLES[event.priority] if event.state is AlarmState.RAISED else CLEARED_STYLE
                Console(file=stream).print(Text(line, style), soft_wrap=True)
            else:
                stream.write(_encodable(line, stream.encoding) + "\n")
            stream.flush()
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            raise DeliveryFailed(f"the terminal cannot be written: {error}") from error


def alarm_line(event: AlarmChanged) -> str:
    """Return an alarm's change as one line of printable characters; the time is UTC."""
    parts = [f"{event.at.astimezone(UTC):%Y-%m-%d %H:%MZ}", event.flask, event.channel.value, event.state.upper()]
    parts.append(f"({event.priority})" if event.state is AlarmState.RAISED else "")
    parts.append(event.cause)
    if event.state is AlarmState.RAISED:
        parts.append(f"-> {event.action}")
        parts.append(f"(by {event.respond_by.astimezone(UTC):%H:%MZ})" if event.respond_by else "")
    return " ".join(printable(part) for part in parts if part)


def _encodable(line: str, encoding: str | None) -> str:
    chosen = encoding or "utf-8"
    return line.encode(chosen, "backslashreplace").decode(chosen)
