"""Who may do what: three roles, each of which may do all that the one before it may."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Role(StrEnum):
    """viewer: look; operator: act on alarms, requeue; admin: users and tokens too."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


RANK = {role: rank for rank, role in enumerate(Role, start=1)}


def may(role: Role | None, least: Role | None) -> bool:
    """Whether somebody with a role, or without one, may do what needs at least another; None needs nobody.

    >>> may(Role.ADMIN, Role.OPERATOR), may(Role.VIEWER, Role.OPERATOR), may(None, None)
    (True, False, True)
    """
    return least is None or (role is not None and RANK[role] >= RANK[least])


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks.

    name, role: None where nobody is known; how: by being at this machine, by a sign-in, or by a token; csrf: what a
    change must carry, empty where none is needed (a token is not sent by a browser on its own).
    """

    name: str | None = None
    role: Role | None = None
    how: Literal["local", "session", "token"] | None = None
    csrf: str = ""


NOBODY = Visitor()
