"""The audit log: what happened to every alarm, by whom, when and why; it only grows, each line sealed onto the last.

A line's hash covers its text and the hash of the line before it, so that a changed, removed or inserted line shows.
What the chain cannot show is that its newest lines were cut off: keep the newest hash elsewhere where that matters.
"""

from collections.abc import Iterable
from datetime import UTC
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from monitor.culture.standing import AlarmTransition
from monitor.frames.identity import Name
from monitor.messages import MACHINE, Digest, Fact, OperatorActed
from services.store.seal import sealed

BEGINNING = "0" * 64
"""Stands for the hash before the first line."""


class UserAction(Fact):
    """What somebody did that is about no alarm: signed in, put a dead letter into the queue again, added a user.

    what: the deed as a word, such as `requeued`; subject: to what or whom; at: by this machine's clock.
    """

    deed_id: Digest
    flask: Name = MACHINE
    what: Annotated[str, Field(min_length=1, max_length=100)]
    subject: Annotated[str, Field(max_length=500)]
    at: AwareDatetime
    by: Name
    why: Annotated[str, Field(max_length=1000)] = ""


class AuditEntry(Fact):
    """One line: an operator acted, an alarm came to stand elsewhere, it did not after all, or somebody did a deed.

    `withdrawn`: a frame that came late, or settings that changed, made the history another one. `written_at` is the
    time of this machine's clock.
    """

    kind: Literal["acted", "moved", "withdrawn", "did"]
    written_at: AwareDatetime
    what: OperatorActed | AlarmTransition | UserAction

    @property
    def words(self) -> str:
        """What happened, by whom and why."""
        what = self.what
        match what:
            case UserAction():
                return f"{what.by}: {what.what} {what.subject}" + (f". {what.why}" if what.why else "")
            case OperatorActed():
                return f"{what.by}: {what.action}. {what.why}"
        mark = "not so after all: " if self.kind == "withdrawn" else ""
        return (
            f"{mark}{what.before} -> {what.after} at {what.at.astimezone(UTC):%Y-%m-%d %H:%MZ} by {what.by}: {what.why}"
        )


class AuditLine(Fact):
    """A line as it is stored: its number from 1, its text and the hash that seals it."""

    number: int
    text: str
    hash: str

    @property
    def entry(self) -> AuditEntry:
        """The line's content."""
        return AuditEntry.model_validate_json(self.text)


def broken_at(lines: Iterable[AuditLine]) -> int | None:
    """Return the number of the first line that does not fit the one before it; None when all do."""
    previous, expected = BEGINNING, 1
    for line in lines:
        if line.number != expected or line.hash != sealed(previous, line.text):
            return expected
        previous, expected = line.hash, expected + 1
    return None
