"""What can go wrong, and whether trying again can help.

Every error that cellvigil raises on purpose derives from `CellvigilError`. `retryable` says whether the same
call may succeed later without anybody changing anything; `reason` is a short stable code for tables and metrics;
the message names the thing and the mend, for the person who reads it at 3 a.m.
"""

from typing import ClassVar


class CellvigilError(Exception):
    """Base of every deliberate error.

    Attributes
    ----------
    retryable
        Whether the same call may succeed later without anybody changing anything.

    Parameters
    ----------
    message
        What went wrong and the mend, as a sentence; it names the thing.
    reason
        A short stable code for tables and metrics.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, reason: str = "error") -> None:
        super().__init__(message)
        self.reason = reason


class SettingsError(CellvigilError):
    """The configuration cannot be used; the message names the key and what to write instead."""


class FrameNotReady(CellvigilError):
    """The file is still being written, or is not readable yet; look again later.

    Attributes
    ----------
    retryable
        It may succeed once the file is written.
    """

    retryable: ClassVar[bool] = True


class FrameRejected(CellvigilError):
    """The file will never become a frame; it goes to quarantine with `reason`."""


class LayoutMismatch(CellvigilError):
    """The path does not say which flask, position and time it belongs to."""


class ModelRefused(CellvigilError):
    """Weights, engine or potency model are missing, altered or made for another contract."""


class BackPressure(CellvigilError):
    """The queue refuses new work (full or unreachable); files wait on disk.

    Attributes
    ----------
    retryable
        It may succeed once there is room.
    """

    retryable: ClassVar[bool] = True


class EngineFailure(CellvigilError):
    """The inference engine failed on this batch; a smaller batch or a restart may help.

    Attributes
    ----------
    retryable
        It may succeed with a smaller batch.
    """

    retryable: ClassVar[bool] = True
