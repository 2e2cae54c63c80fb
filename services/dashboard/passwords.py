"""Passwords: hashed with Argon2id, compared in constant time, never kept."""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from monitor.errors import SettingsError

LEAST = 10
MOST = 1000
AT_ONCE = 2
"""Hashing takes 64 MiB and some tens of milliseconds; more at once would let strangers fill the memory."""

_HASHER = PasswordHasher()
_TURN = threading.BoundedSemaphore(AT_ONCE)
_NOBODY: list[str] = []


def check_password(password: str, name: str) -> None:
    """Refuse a password that is guessed at once.

    Raises
    ------
    SettingsError
        It is shorter than `LEAST` characters, longer than `MOST`, or made of the name or one character.
    """
    if not LEAST <= len(password) <= MOST:
        raise SettingsError(
            f"a password has {LEAST} to {MOST} characters; a sentence is easy to keep", reason="password"
        )
    if password.lower() == name.lower() or len(set(password)) < 4:
        raise SettingsError("this password is guessed at once; take a sentence", reason="password")


def hashed(password: str) -> str:
    """Return the hash that is kept, with its own salt and parameters."""
    with _TURN:
        return _HASHER.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether a password is the one whose hash was kept; it takes as long where there is none."""
    if len(password) > MOST:
        return False
    if kept is None and not _NOBODY:
        _NOBODY.append(hashed("nobody has this one"))
    with _TURN:
        try:
            return _HASHER.verify(kept or _NOBODY[0], password) and kept is not None
        except (VerificationError, InvalidHashError):
            return False
