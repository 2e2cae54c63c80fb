"""Where a page of a list ended, so that the next one goes on there whatever was added meanwhile."""

import base64
import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from services.dashboard.endpoint import RequestParams
from services.dashboard.errors import Unprocessable

LIMIT_MOST = 500
NUMBER_MOST = 2**62
CURSOR_MOST = 2000


class Paged(RequestParams):
    """How many, and from where: `next` of the page before."""

    limit: Annotated[int, Field(ge=1, le=LIMIT_MOST)] = 100
    cursor: Annotated[str | None, Field(max_length=CURSOR_MOST)] = None


def number_of(cursor: str | None, default: int) -> int:
    """Return the number that a cursor holds.

    Raises
    ------
    Unprocessable
        It is none that this page gave.
    """
    if cursor is None:
        return default
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor) > NUMBER_MOST:
        raise Unprocessable("cursor: not one that this page gave", reason="bad_value")
    return int(cursor)


def cursor_at(place: Sequence[object]) -> str:
    """Return a cursor that holds the place of a page's last item in the order of its list.

    >>> place_at(cursor_at(["2026-03-10", "A1"]), 2)
    ['2026-03-10', 'A1']
    """
    text = json.dumps(list(place), separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_at(cursor: str, parts: int) -> list[str]:
    """Return the place that `cursor_at` put into a cursor, so many texts.

    Raises
    ------
    Unprocessable
        It is none that this page gave.
    """
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except ValueError:
        place = None
    if not isinstance(place, list) or len(place) != parts or not all(isinstance(part, str) for part in place):
        raise Unprocessable("cursor: not one that this page gave", reason="bad_value")
    return place
