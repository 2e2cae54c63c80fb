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

from monitor.errors import SettingsError
from services.assays.facts import ASSAY_FACT, AssayFact, fact_id_of
from services.store.database import Schema, explained, open_database, writing
from services.store.seal import sealed

TABLES = (
    """CREATE TABLE IF NOT EXISTS facts (
      number INTEGER PRIMARY KEY, fact_id TEXT NOT NULL UNIQUE, fact TEXT NOT NULL, digest TEXT NOT NULL)""",
    "CREATE TRIGGER IF NOT EXISTS facts_stay BEFORE UPDATE ON facts BEGIN SELECT RAISE(ABORT, 'facts stay'); END",
    "CREATE TRIGGER IF NOT EXISTS facts_remain BEFORE DELETE ON facts BEGIN SELECT RAISE(ABORT, 'facts stay'); END",
)
ASSAYS = Schema(name="record of assays", reason="assay_record", version=1, tables=TABLES)


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
        self._connection = open_database(path, ASSAYS, readonly=readonly)

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
        with explained(self._path, ASSAYS):
            return _read(self._connection, self._path)

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """Open a write transaction; all of its rows are on the disk when it ends, or none where it fails."""
        with writing(self._connection, self._path, ASSAYS) as connection:
            yield Writing(connection, self._path)


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
