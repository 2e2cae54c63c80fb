"""Users and tokens on the page; the same as `cellvigil dashboard user` and `token`, each in the audit log."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, SecretStr

from monitor.errors import SettingsError
from services.dashboard.deeds import note_deed
from services.dashboard.endpoint import Asked, Given
from services.dashboard.roles import Role
from services.dashboard.shapes import Done, NewToken, TokenItem, UserItem, UserPage
from services.dashboard.users import User

Named = Annotated[str, Field(min_length=1, max_length=64)]


class NewUser(Given):
    """Somebody to add."""

    name: Named
    role: Role
    password: SecretStr


class Changed(Given):
    """Another role or password; what is not given stays."""

    role: Role | None = None
    password: SecretStr | None = None


class TokenNamed(Given):
    """A token by its user and name."""

    user: Named
    name: Named


def user_list(asked: Asked) -> UserPage:
    """Return who may sign in, with their tokens by name."""
    return UserPage(items=[_item(user) for user in asked.page.users.all()])


def add_user(asked: Asked) -> Done:
    """Add somebody who may sign in."""
    given: NewUser = asked.given
    if given.role is not Role.ADMIN and not asked.page.users.any():
        message = (
            "the first user has to be an admin: with users, only admins come to this page, and others could add nobody"
        )
        raise SettingsError(message, reason="last_admin")
    asked.page.users.add(given.name, given.role, given.password.get_secret_value())
    note_deed(asked.page.state, asked.visitor.name, "added the user", f"{given.name} as {given.role}")
    return Done(note=f"{given.name} may sign in now")


def change_user(asked: Asked) -> Done:
    """Give somebody another role or password; his sign-ins end."""
    name, given = asked.path["name"], asked.given
    password = None if given.password is None else given.password.get_secret_value()
    asked.page.users.change(name, role=given.role, password=password)
    what = " and ".join(filter(None, (given.role and f"role {given.role}", password and "password")))
    note_deed(asked.page.state, asked.visitor.name, "changed the user", f"{name}: {what or 'nothing'}")
    return Done(note=f"{name} has to sign in again")


def remove_user(asked: Asked) -> Done:
    """Remove somebody with all sign-ins and tokens."""
    name = asked.path["name"]
    asked.page.users.remove(name)
    note_deed(asked.page.state, asked.visitor.name, "removed the user", name)
    return Done(note=f"{name} is removed")


def make_token(asked: Asked) -> NewToken:
    """Make a token for scripts, which acts as its user; it is shown this once."""
    given: TokenNamed = asked.given
    token = asked.page.users.make_token(given.user, given.name)
    note_deed(asked.page.state, asked.visitor.name, "made the token", f"{given.name} of {given.user}")
    return NewToken(user=given.user, name=given.name, token=token)


def remove_token(asked: Asked) -> Done:
    """Remove a token."""
    given: TokenNamed = asked.given
    asked.page.users.remove_token(given.user, given.name)
    note_deed(asked.page.state, asked.visitor.name, "removed the token", f"{given.name} of {given.user}")
    return Done(note=f"{given.name} of {given.user} is removed")


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
