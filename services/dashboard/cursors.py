"""Where a page of a list ended, so that the next one goes on there whatever was added meanwhile."""

from typing import Annotated

from pydantic import Field

from services.dashboard.endpoint import Given
from services.dashboard.errors import Unprocessable

LIMIT_MOST = 500
NUMBER_MOST = 2**62


class Paged(Given):
    """How many, and from where: `next` of the page before."""

    limit: Annotated[int, Field(ge=1, le=LIMIT_MOST)] = 100
    cursor: Annotated[str | None, Field(max_length=300)] = None


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
