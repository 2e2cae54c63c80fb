"""What goes wrong on the page as an answer: a status, a code for programs, a sentence with the mend for people."""

from typing import ClassVar

from monitor.errors import BackPressure, CellvigilError, FrameNotReady, FrameRejected, ModelRefused, SettingsError


class Refused(CellvigilError):
    """A request that is answered with an error on purpose."""

    status: ClassVar[int] = 400


class BadRequest(Refused):
    """It cannot be understood."""


class NotSignedIn(Refused):
    """Nobody is known."""

    status = 401


class NotAllowed(Refused):
    """Somebody is known, and may not."""

    status = 403


class NotFound(Refused):
    """There is no such thing."""

    status = 404


class Conflict(Refused):
    """It cannot be done to this thing now."""

    status = 409


class TooLarge(Refused):
    """The body is longer than any that is asked for."""

    status = 413


class Unprocessable(Refused):
    """It is understood, and a value is out of its range."""

    status = 422


class TooMany(Refused):
    """Too often; wait_s: seconds to wait."""

    status = 429
    wait_s: int = 60


class NotNow(Refused):
    """Something that it needs is away or busy."""

    status = 503


MISSING = frozenset(("no_flask", "no_silence", "no_state", "no_outbox", "frame", "labels_gone", "vanished", "replaced"))


def status_of(error: Exception) -> tuple[int, str]:
    """Return status and code of a deliberate error.

    >>> status_of(NotFound("there is no flask 'B7'", reason="no_flask"))
    (404, 'no_flask')
    """
    if isinstance(error, Refused):
        return error.status, error.reason
    if isinstance(error, BackPressure | FrameNotReady | ModelRefused):
        return 503, error.reason
    if isinstance(error, SettingsError | FrameRejected):
        return (404 if error.reason in MISSING else 422), error.reason
    return 500, "error"
