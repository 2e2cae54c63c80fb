"""One line of the report: what was looked at, how it stands, and the mend."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a thing stands: a warning costs speed or comfort, with a problem frames or results are at risk."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """What was found; `mend` says what to type or change and is empty when `level` is ok."""

    name: str
    level: Level
    what: str
    mend: str = ""


def ok(name: str, what: str) -> Check:
    """Return a check that found nothing to mend."""
    return Check(name, Level.OK, what)


def warning(name: str, what: str, mend: str) -> Check:
    """Return a check whose finding costs speed or comfort."""
    return Check(name, Level.WARNING, what, mend)


def problem(name: str, what: str, mend: str) -> Check:
    """Return a check whose finding puts frames or results at risk."""
    return Check(name, Level.PROBLEM, what, mend)
