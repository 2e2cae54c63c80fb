"""Every SQLite file of a state folder is opened here: versions, migrations, one way to write, one way to look.

Files are in WAL mode and every commit is on the disk before it returns (`synchronous = FULL`), so a killed process
loses nothing that it was told is stored, and readers never wait for the writer.
"""

import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from monitor.errors import BackPressure, CellvigilError, SettingsError

SQLITE_VERSION = sqlite3.sqlite_version
WAIT_S = 60.0
"""A writer waits so long for another one."""
LOOK_S = 5.0
"""A reader waits so long: somebody looks at a page meanwhile."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a kind of file holds.

    Parameters
    ----------
    name
        What people call it, as in "the ledger".
    reason
        Code of its errors.
    version
        Of the newest form; stored as `user_version`. A file with tables and version 0 was made before there were
        versions.
    tables
        Statements that make the newest form where nothing is, each safe to repeat.
    migrations
        By version: the statements that lead from it to the next one.
    damaged, missing
        What to do when the file is no database, or is not there.
    """

    name: str
    reason: str
    version: int
    tables: tuple[str, ...]
    migrations: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    damaged: str = "restore the file from its backup"
    missing: str = "name a state folder in which something ran"


def open_database(
    path: Path, schema: Schema, *, readonly: bool = False, wait_s: float = WAIT_S, shared: bool = False
) -> sqlite3.Connection:
    """Open a file, made where it is missing, brought to the newest form where it is older.

    Before a migration the file is copied to `NAME.version-N` beside it.

    Parameters
    ----------
    readonly
        Open for reading only; the file must exist.
    shared
        Several threads use the connection, one at a time.

    Raises
    ------
    SettingsError
        The file was written by a newer version, is no database, or is to be read and missing.
    BackPressure
        It cannot be opened, is locked, or the disk is full: try again, nothing is lost.
    """
    with explained(path, schema):
        try:
            connection = _connected(path, "ro" if readonly else "rwc", wait_s, shared=shared)
        except sqlite3.OperationalError as error:
            raise _not_opened(path, schema, error, readonly=readonly) from error
        try:
            if not readonly:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
            found = _version(connection)
            if found > schema.version:
                message = (
                    f"{path} was written by a newer cellvigil (version {found} of the {schema.name}, this program "
                    f"knows {schema.version}); use that one, or another state folder"
                )
                raise SettingsError(message, reason=f"{schema.reason}_version")
            if found < schema.version:
                if readonly:
                    _bring_up(path, schema, wait_s)
                else:
                    _build(connection, path, schema)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def writing(connection: sqlite3.Connection, path: Path, schema: Schema) -> Iterator[sqlite3.Connection]:
    """Hold a write transaction: all of it is on the disk when the block ends, or nothing where it fails.

    Raises
    ------
    BackPressure
        While the disk is full or the file locked: the caller waits, nothing is lost.
    """
    with explained(path, schema):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def looking(path: Path, schema: Schema) -> Iterator[sqlite3.Connection | None]:
    """Open a file for a look: one view of it all along, whoever writes meanwhile. None where there is none yet.

    Raises
    ------
    BackPressure
        It is locked.
    SettingsError
        As `open_database`.
    """
    if not path.is_file():
        yield None
        return
    with explained(path, schema), closing(open_database(path, schema, readonly=True, wait_s=LOOK_S)) as connection:
        connection.execute("BEGIN")
        yield connection


@contextmanager
def explained(path: Path, schema: Schema) -> Iterator[None]:
    """Turn what SQLite says in this block into an error with its mend; see `explain`."""
    try:
        yield
    except sqlite3.Error as error:
        explain(error, path, schema)
        raise


def explain(error: BaseException | None, path: Path, schema: Schema) -> None:
    """Raise what an error of SQLite means; return where it is none, or is for the caller to explain.

    Raises
    ------
    BackPressure
        The file is locked or the disk full.
    SettingsError
        It is no database, or a damaged one.
    """
    match error:
        case sqlite3.IntegrityError() | sqlite3.ProgrammingError():
            return  # a rule of the tables, or a mistake of ours
        case sqlite3.OperationalError():
            message = f"the {schema.name} {path} cannot be used now: {error}; free disk space or mend its folder"
            raise BackPressure(message, reason=schema.reason) from error
        case sqlite3.DatabaseError():
            message = f"the {schema.name} {path} is damaged ({error}); {schema.damaged}"
            raise SettingsError(message, reason=schema.reason) from error


def _not_opened(path: Path, schema: Schema, error: sqlite3.OperationalError, *, readonly: bool) -> CellvigilError:
    if readonly:
        message = f"there is no {schema.name} {path} yet ({error}); {schema.missing}"
        return SettingsError(message, reason=f"no_{schema.reason}")
    message = f"the {schema.name} {path} cannot be opened: {error}; mend its folder, then repeat the command"
    return BackPressure(message, reason=schema.reason)


def _connected(path: Path, mode: str, wait_s: float, *, shared: bool = False) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=wait_s, isolation_level=None, check_same_thread=not shared)


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _bring_up(path: Path, schema: Schema, wait_s: float) -> None:
    """Migrate a file that somebody wants to read."""
    try:
        with closing(_connected(path, "rw", wait_s)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            _build(connection, path, schema)
    except sqlite3.OperationalError as error:
        message = (
            f"the {schema.name} {path} was written by an earlier version and has to be brought up to this one, but it "
            f"cannot be written ({error}); copy the state folder to where it can"
        )
        raise SettingsError(message, reason=f"{schema.reason}_version") from error


def _build(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Make the tables, or lead them to the newest form, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # another process may have been faster
        found = _version(connection)
        if found < schema.version:
            made = _is_made(connection)
            if made:
                _keep_copy(path, path.with_name(f"{path.name}.version-{found}"))
            steps = (
                [schema.migrations[version] for version in range(found, schema.version)] if made else [schema.tables]
            )
            for statement in (statement for step in steps for statement in step):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {schema.version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_made(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _keep_copy(path: Path, copy: Path) -> None:
    """Copy a file as it was before the transaction that holds it."""
    part = copy.with_name(f".{copy.name}.part")
    part.unlink(missing_ok=True)
    # a copy of passwords is nobody else's business either
    part.touch(mode=stat.S_IMODE(path.stat().st_mode))
    with closing(_connected(path, "ro", LOOK_S)) as source, closing(sqlite3.connect(part)) as target:
        source.backup(target)
    part.replace(copy)
