"""The seal of a record that only grows: a digest over each text and, through the one before it, over all before."""

import hashlib


def sealed(previous: str, text: str) -> str:
    """Return the sha256 that seals a text onto the one whose seal is `previous`.

    >>> sealed("0" * 64, "{}")[:16]
    '5649d09ed68c1715'
    """
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
