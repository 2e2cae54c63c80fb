"""Who may use the page: users with their roles, sign-ins and tokens for scripts, in one SQLite file.

Passwords are kept as Argon2id hashes (RFC 9106, by argon2-cffi with its own parameters); of sign-ins and tokens, which
are random and long, only the SHA-256 is kept: whoever reads the file cannot use them.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.errors import BackPressure, SettingsError
from services.dashboard.passwords import check_password, hashed, matches
from services.dashboard.roles import Role, Visitor
from services.store.database import Schema, explained, open_database, writing

TABLES = (
    """CREATE TABLE IF NOT EXISTS users (
      name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, created_at TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS sessions (
      digest TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES users ON DELETE CASCADE, csrf TEXT NOT NULL,
      began_at TEXT NOT NULL, seen_at TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS tokens (
      digest TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users ON DELETE CASCADE, name TEXT NOT NULL,
      created_at TEXT NOT NULL, used_at TEXT, UNIQUE (user, name))""",
)
USERS = Schema(name="file of users", reason="users", version=1, tables=TABLES)
WAIT_S = 20.0
NAME_MOST = 64
TOKEN_BYTES = 32
SEEN_EVERY_S = 60.0
"""Being seen is written down this often, so that looking does not write all the time."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token by its name; times are ISO 8601, UTC."""

    name: str
    created_at: str
    used_at: str | None


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in."""

    name: str
    role: Role
    created_at: str
    seen_at: str | None
    tokens: tuple[Token, ...]


class Users:
    """The file of users; each call opens it anew, so that threads, commands and a running page agree at once.

    Raises
    ------
    SettingsError
        The file was made by another version.
    BackPressure
        It cannot be written now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def any(self) -> bool:
        """Whether there is a user at all."""
        with self._open() as connection:
            return connection is not None and connection.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None

    def all(self) -> list[User]:
        """Return every user by name."""
        with self._open() as connection:
            if connection is None:
                return []
            tokens: dict[str, list[Token]] = {}
            for user, *rest in connection.execute("SELECT user, name, created_at, used_at FROM tokens ORDER BY name"):
                tokens.setdefault(user, []).append(Token(*rest))
            query = (
                "SELECT name, role, created_at, (SELECT max(seen_at) FROM sessions WHERE sessions.name = users.name) "
                "FROM users ORDER BY name"
            )
            return [
                User(name, Role(role), created_at, seen_at, tuple(tokens.get(name, ())))
                for name, role, created_at, seen_at in connection.execute(query)
            ]

    def add(self, name: str, role: Role, password: str) -> None:
        """Add a user.

        Raises
        ------
        SettingsError
            The name is taken or cannot be used, or the password is too short.
        """
        _check_name(name)
        check_password(password, name)
        with self._write() as connection:
            try:
                connection.execute("INSERT INTO users VALUES (?, ?, ?, ?)", (name, role, hashed(password), _now()))
            except sqlite3.IntegrityError as error:
                raise SettingsError(f"there is a user {name!r} already; choose another name", reason="user") from error

    def change(self, name: str, *, role: Role | None = None, password: str | None = None) -> None:
        """Give a user another role or password; sign-ins end, so that the change holds at once.

        Raises
        ------
        SettingsError
            There is no such user, the last admin would go, or the password is too short.
        """
        if password is not None:
            check_password(password, name)
        with self._write() as connection:
            self._known(connection, name)
            if role is not None:
                if role is not Role.ADMIN:
                    self._keep_an_admin(connection, name)
                connection.execute("UPDATE users SET role = ? WHERE name = ?", (role, name))
            if password is not None:
                connection.execute("UPDATE users SET password = ? WHERE name = ?", (hashed(password), name))
            connection.execute("DELETE FROM sessions WHERE name = ?", (name,))

    def remove(self, name: str, *, last: bool = False) -> None:
        """Remove a user with all sign-ins and tokens; with `last` the only one, too: then there are no users.

        Raises
        ------
        SettingsError
            There is no such user, or nobody could add users any more.
        """
        with self._write() as connection:
            self._known(connection, name)
            others = connection.execute("SELECT 1 FROM users WHERE name != ? LIMIT 1", (name,)).fetchone()
            if others or not last:
                self._keep_an_admin(connection, name)
            connection.execute("DELETE FROM users WHERE name = ?", (name,))

    def sign_in(self, name: str, password: str) -> str | None:
        """Return the secret of a new sign-in, for the cookie; None when name and password do not fit.

        It takes as long for a name that there is not.
        """
        with self._open() as connection:
            found = None
            if connection is not None:
                query = "SELECT name, password FROM users WHERE name = ?"
                found = connection.execute(query, (name,)).fetchone()
        if not matches(None if found is None else found[1], password) or found is None:
            return None
        secret, now = secrets.token_urlsafe(TOKEN_BYTES), _now()
        with self._write() as connection:
            row = (_digest(secret), found[0], secrets.token_urlsafe(TOKEN_BYTES), now, now)
            with suppress(sqlite3.IntegrityError):  # removed in this moment: the sign-in is of nobody
                connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", row)
        return secret

    def by_session(self, secret: str, idle: timedelta, most: timedelta) -> Visitor | None:
        """Return who a sign-in is of, and note that it was used; None when it is over or was never there."""
        query = (
            "SELECT u.name, u.role, s.csrf, s.began_at, s.seen_at FROM sessions AS s JOIN users AS u USING (name) "
            "WHERE s.digest = ?"
        )
        digest, now = _digest(secret), datetime.now(UTC)
        with self._open() as connection:
            found = None if connection is None else connection.execute(query, (digest,)).fetchone()
        if found is None:
            return None
        name, role, csrf, began_at, seen_at = found
        seen = datetime.fromisoformat(seen_at)
        if now - seen > idle or now - datetime.fromisoformat(began_at) > most:
            self.sign_out(secret)
            return None
        if (now - seen).total_seconds() > SEEN_EVERY_S:
            self._note("UPDATE sessions SET seen_at = ? WHERE digest = ?", digest)
        return Visitor(name, Role(role), "session", csrf)

    def sign_out(self, secret: str) -> None:
        """End a sign-in."""
        with self._write() as connection:
            connection.execute("DELETE FROM sessions WHERE digest = ?", (_digest(secret),))

    def end_sessions(self, idle: timedelta, most: timedelta) -> None:
        """Forget the sign-ins that are over."""
        if not self._path.is_file():
            return
        now = datetime.now(UTC)
        with self._write() as connection:
            bounds = ((now - idle).isoformat(), (now - most).isoformat())
            connection.execute("DELETE FROM sessions WHERE seen_at < ? OR began_at < ?", bounds)

    def make_token(self, user: str, name: str) -> str:
        """Return a new token for scripts, which acts as its user; it cannot be shown again.

        Raises
        ------
        SettingsError
            There is no such user, or a token of that name.
        """
        _check_name(name)
        token = f"cv_{secrets.token_urlsafe(TOKEN_BYTES)}"
        with self._write() as connection:
            self._known(connection, user)
            row = (_digest(token), user, name, _now())
            try:
                connection.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, NULL)", row)
            except sqlite3.IntegrityError as error:
                message = f"{user} has a token {name!r} already; remove it first, or choose another name"
                raise SettingsError(message, reason="token") from error
        return token

    def remove_token(self, user: str, name: str) -> None:
        """Remove a token; whoever uses it is turned away from now on.

        Raises
        ------
        SettingsError
            There is none.
        """
        with self._write() as connection:
            done = connection.execute("DELETE FROM tokens WHERE user = ? AND name = ?", (user, name))
            if not done.rowcount:
                raise SettingsError(f"{user} has no token {name!r}", reason="no_token")

    def by_token(self, token: str) -> Visitor | None:
        """Return whom a token acts as; None when there is no such token."""
        query = (
            "SELECT u.name, u.role, t.used_at FROM tokens AS t JOIN users AS u ON u.name = t.user WHERE t.digest = ?"
        )
        digest = _digest(token)
        with self._open() as connection:
            found = None if connection is None else connection.execute(query, (digest,)).fetchone()
        if found is None:
            return None
        used = found[2]
        if used is None or (datetime.now(UTC) - datetime.fromisoformat(used)).total_seconds() > SEEN_EVERY_S:
            self._note("UPDATE tokens SET used_at = ? WHERE digest = ?", digest)
        return Visitor(found[0], Role(found[1]), "token")

    def _note(self, update: str, digest: str) -> None:
        with suppress(BackPressure), self._write() as connection:  # looking must go on where writing cannot
            connection.execute(update, (_now(), digest))

    def _known(self, connection: sqlite3.Connection, name: str) -> None:
        if connection.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone() is None:
            names = ", ".join(row[0] for row in connection.execute("SELECT name FROM users ORDER BY name")) or "none"
            raise SettingsError(f"there is no user {name!r}; there are: {names}", reason="no_user")

    def _keep_an_admin(self, connection: sqlite3.Connection, without: str) -> None:
        query = "SELECT 1 FROM users WHERE name != ? AND role = 'admin' LIMIT 1"
        if connection.execute(query, (without,)).fetchone() is None:
            message = f"{without} is the only admin; make somebody else one first, or nobody could change users"
            raise SettingsError(message, reason="last_admin")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection | None]:
        """Open for reading; None where there is no file yet."""
        if not self._path.is_file():
            yield None
            return
        with explained(self._path, USERS), closing(open_database(self._path, USERS, wait_s=WAIT_S)) as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        if not self._path.is_file():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        opened = closing(open_database(self._path, USERS, wait_s=WAIT_S))
        with opened as connection, writing(connection, self._path, USERS):
            yield connection


def _check_name(name: str) -> None:
    if not name.strip() or name != name.strip() or len(name) > NAME_MOST or not name.isprintable():
        message = f"{name!r} cannot be a name: 1 to {NAME_MOST} printing characters, no space before or after"
        raise SettingsError(message, reason="name")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
