"""Users and tokens on the page; the same as `cellvigil dashboard user` and `token`, each in the audit log."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, SecretStr

from monitor.errors import SettingsError
from services.dashboard.endpoint import PageRequest, RequestParams
from services.dashboard.roles import Role
from services.dashboard.schemas import DoneResponse, NewToken, TokenItem, UserItem, UserPage
from services.dashboard.user_actions import note_user_action
from services.dashboard.users import User

Named = Annotated[str, Field(min_length=1, max_length=64)]


class NewUser(RequestParams):
    """Somebody to add."""

    name: Named
    role: Role
    password: SecretStr


class Changed(RequestParams):
    """Another role or password; what is not given stays."""

    role: Role | None = None
    password: SecretStr | None = None


class TokenNamed(RequestParams):
    """A token by its user and name."""

    user: Named
    name: Named


def user_list(request: PageRequest) -> UserPage:
    """Return who may sign in, with their tokens by name."""
    return UserPage(items=[_item(user) for user in request.page.users.all()])


def add_user(request: PageRequest) -> DoneResponse:
    """Add somebody who may sign in."""
    params: NewUser = request.params
    if params.role is not Role.ADMIN and not request.page.users.any():
        message = (
            "the first user has to be an admin: with users, only admins come to this page, and others could add nobody"
        )
        raise SettingsError(message, reason="last_admin")
    request.page.users.add(params.name, params.role, params.password.get_secret_value())
    note_user_action(request.page.state, request.visitor.name, "added the user", f"{params.name} as {params.role}")
    return DoneResponse(note=f"{params.name} may sign in now")


def change_user(request: PageRequest) -> DoneResponse:
    """Give somebody another role or password; his sign-ins end."""
    name, params = request.path["name"], request.params
    password = None if params.password is None else params.password.get_secret_value()
    request.page.users.change(name, role=params.role, password=password)
    what = " and ".join(filter(None, (params.role and f"role {params.role}", password and "password")))
    note_user_action(request.page.state, request.visitor.name, "changed the user", f"{name}: {what or 'nothing'}")
    return DoneResponse(note=f"{name} has to sign in again")


def remove_user(request: PageRequest) -> DoneResponse:
    """Remove somebody with all sign-ins and tokens."""
    name = request.path["name"]
    request.page.users.remove(name)
    note_user_action(request.page.state, request.visitor.name, "removed the user", name)
    return DoneResponse(note=f"{name} is removed")


def make_token(request: PageRequest) -> NewToken:
    """Make a token for scripts, which acts as its user; it is shown this once."""
    params: TokenNamed = request.params
    token = request.page.users.make_token(params.user, params.name)
    note_user_action(request.page.state, request.visitor.name, "made the token", f"{params.name} of {params.user}")
    return NewToken(user=params.user, name=params.name, token=token)


def remove_token(request: PageRequest) -> DoneResponse:
    """Remove a token."""
    params: TokenNamed = request.params
    request.page.users.remove_token(params.user, params.name)
    note_user_action(request.page.state, request.visitor.name, "removed the token", f"{params.name} of {params.user}")
    return DoneResponse(note=f"{params.name} of {params.user} is removed")


def _item(user: User) -> UserItem:
    return UserItem(
        name=user.name,
        role=user.role.value,
        created_at=datetime.fromisoformat(user.created_at),
        last_seen_at=None if user.seen_at is None else datetime.fromisoformat(user.seen_at),
        tokens=[
            TokenItem(
                name=token.name,
                created_at=datetime.fromisoformat(token.created_at),
                last_used_at=None if token.used_at is None else datetime.fromisoformat(token.used_at),
            )
            for token in user.tokens
        ],
    )
