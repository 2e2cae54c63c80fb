"""The record of later results: a SQLite file to which rows are added, each with a digest over it and all before it.

Nothing is changed or removed; a row that was altered behind the program's back is found when the record is read. Rows
cut off at the end are not: whoever needs that keeps the head (`AssayLog.head`) elsewhere.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from monitor.errors import BackPressure, SettingsError
from services.assays.facts import ASSAY_FACT, AssayFact, fact_id_of
from services.store.seal import sealed

VERSION = 1
SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS facts (
  number INTEGER PRIMARY KEY, fact_id TEXT NOT NULL UNIQUE, fact TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS facts_stay BEFORE UPDATE ON facts BEGIN SELECT RAISE(ABORT, 'facts stay'); END;
CREATE TRIGGER IF NOT EXISTS facts_remain BEFORE DELETE ON facts BEGIN SELECT RAISE(ABORT, 'facts stay'); END;
PRAGMA user_version = {VERSION};
COMMIT;
"""


class Writing:
    """The record inside an open write transaction: what is read here stands until the transaction ends."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self.facts, self._head = _read(connection, path)

    def add(self, fact: AssayFact) -> bool:
        """Add a row; False when it was there before."""
        fact_id, text = fact_id_of(fact), fact.model_dump_json()
        if self._connection.execute("SELECT 1 FROM facts WHERE fact_id = ?", (fact_id,)).fetchone():
            return False
        head = sealed(self._head, text)
        row = (len(self.facts) + 1, fact_id, text, head)
        self._connection.execute("INSERT INTO facts VALUES (?, ?, ?, ?)", row)
        self.facts.append(fact)
        self._head = head
        return True


class AssayLog:
    """Later results of one state folder; several processes may write, one at a time.

    Raises
    ------
    SettingsError
        `assay_record` when the file is none, was made by another version, or does not hold what was recorded.
    BackPressure
        While the disk is full or the file locked: try again, nothing is lost.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._path = path
        uri = f"{path.resolve().as_uri()}?mode={'ro' if readonly else 'rwc'}"
        with _told(path):
            self._connection = sqlite3.connect(uri, uri=True, timeout=60.0, isolation_level=None)
            made_by: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if made_by not in (0, VERSION):
                self._connection.close()
                message = f"{path} was made by another version of cellvigil ({made_by}); use that one"
                raise SettingsError(message, reason="assay_record")
            # one that was begun and never written to has no tables, and so no rows
            self._made = bool(made_by) or not readonly
            if not readonly:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def facts(self) -> list[AssayFact]:
        """Return every row in the order in which they were added, after checking all of them."""
        return self._read()[0]

    def head(self) -> str:
        """Return the digest over everything; empty where there is nothing."""
        return self._read()[1]

    def _read(self) -> tuple[list[AssayFact], str]:
        if not self._made:
            return [], ""
        with _told(self._path):
            return _read(self._connection, self._path)

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """Open a write transaction; all of its rows are on the disk when it ends, or none where it fails."""
        with _told(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Writing(self._connection, self._path)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def read_facts(path: Path) -> list[AssayFact]:
    """Return the rows of a record, none where there is no record yet."""
    if not path.is_file():
        return []
    with AssayLog(path, readonly=True) as log:
        return log.facts()


def _read(connection: sqlite3.Connection, path: Path) -> tuple[list[AssayFact], str]:
    facts: list[AssayFact] = []
    head = ""
    for number, fact_id, text, digest in connection.execute(
        "SELECT number, fact_id, fact, digest FROM facts ORDER BY number"
    ):
        head = sealed(head, text)
        fact = _parsed(text)
        if fact is None or head != digest or number != len(facts) + 1 or fact_id != fact_id_of(fact):
            message = f"{path} row {number} is not what was recorded; restore the file from its backup"
            raise SettingsError(message, reason="assay_record")
        facts.append(fact)
    return facts, head


def _parsed(text: str) -> AssayFact | None:
    try:
        return ASSAY_FACT.validate_json(text)
    except ValidationError:
        return None


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what SQLite says into a sentence with its mend."""
    try:
        yield
    except sqlite3.OperationalError as error:
        message = f"{path} cannot be used now: {error}; free disk space or mend its folder, then repeat the command"
        raise BackPressure(message, reason="assay_record") from error
    except sqlite3.DatabaseError as error:
        message = f"{path} is damaged ({error}); restore the file from its backup"
        raise SettingsError(message, reason="assay_record") from error
