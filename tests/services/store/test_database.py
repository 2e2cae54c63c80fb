"""Versions, migrations, locks: what holds for every SQLite file of a state folder."""

import csv
import io
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cases.first_release import first_release

from monitor.errors import BackPressure, SettingsError
from services.state_folder import StateFolder
from services.store.audit import broken_at
from services.store.database import Schema, looking, open_database, writing
from services.store.ledger import LEDGER, Ledger
from services.store.record_sqlite import SqliteRecord
from services.store.record_tables import RECORD
from services.store.results import result_rows, write_csv

ITEMS = "CREATE TABLE IF NOT EXISTS items (name TEXT PRIMARY KEY)"
COLOURS = "ALTER TABLE items ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'"
FIRST = Schema("list", "list", 1, (ITEMS,))
SECOND = Schema("list", "list", 2, (ITEMS, COLOURS), {1: (COLOURS,)})
BROKEN = Schema("list", "list", 3, (ITEMS,), {1: (COLOURS,), 2: ("INSERT INTO nowhere VALUES (1)",)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "list.sqlite3"


def filled(path: Path, schema: Schema = FIRST) -> None:
    with closing(open_database(path, schema)) as connection, writing(connection, path, schema):
        connection.execute("INSERT INTO items (name) VALUES ('flask')")


def columns_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[1] for row in connection.execute("PRAGMA table_info(items)")]


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_new_file_has_the_newest_form_and_no_copy(path: Path) -> None:
    filled(path, SECOND)

    assert version_of(path) == 2
    assert columns_of(path) == ["name", "colour"]
    assert [file.name for file in path.parent.iterdir()] == ["list.sqlite3"]


@pytest.mark.parametrize("readonly", [False, True])
def test_an_older_file_is_brought_up_whoever_opens_it_and_a_copy_stays(path: Path, readonly: bool) -> None:
    filled(path)
    path.chmod(0o600)

    with closing(open_database(path, SECOND, readonly=readonly)) as connection:
        assert connection.execute("SELECT name, colour FROM items").fetchall() == [("flask", "grey")]

    copy = path.with_name("list.sqlite3.version-1")
    assert (version_of(path), version_of(copy)) == (2, 1)
    assert columns_of(copy) == ["name"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    filled(path)

    with pytest.raises(BackPressure, match="nowhere"):
        open_database(path, BROKEN)

    assert version_of(path) == 1
    assert columns_of(path) == ["name"]


def test_two_processes_that_migrate_at_once_do_it_once(path: Path) -> None:
    filled(path)
    together = threading.Barrier(8)
    found: list[list[tuple[str, str]]] = []

    def look() -> None:
        together.wait()
        with closing(open_database(path, SECOND)) as connection:
            found.append(connection.execute("SELECT name, colour FROM items").fetchall())

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [[("flask", "grey")]] * 8


@pytest.mark.parametrize("readonly", [False, True])
def test_a_newer_file_is_refused_and_left_alone(path: Path, readonly: bool) -> None:
    filled(path, SECOND)
    before = path.read_bytes()

    with pytest.raises(SettingsError, match=r"version 2 of the list, this program knows 1") as refused:
        open_database(path, FIRST, readonly=readonly)

    assert refused.value.reason == "list_version"
    assert path.read_bytes() == before


def test_an_older_file_that_cannot_be_written_says_what_to_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path)

    def readonly(*_: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr("services.store.database._build", readonly)
    with pytest.raises(SettingsError, match="copy the state folder to where it can"):
        open_database(path, SECOND, readonly=True)


def test_what_is_no_database_is_damaged_and_what_is_missing_is_missing(path: Path) -> None:
    with looking(path, FIRST) as connection:
        assert connection is None
    with pytest.raises(SettingsError, match="there is no list") as missing:
        open_database(path, FIRST, readonly=True)
    assert missing.value.reason == "no_list"
    assert not path.exists()

    path.write_bytes(b"no database at all, but long enough to be looked into" * 100)
    with pytest.raises(SettingsError, match="is damaged"):
        open_database(path, FIRST)


def test_a_lock_is_waited_for_and_then_told_as_something_that_passes(path: Path) -> None:
    filled(path)
    with closing(open_database(path, FIRST)) as holder, writing(holder, path, FIRST):
        other = open_database(path, FIRST, wait_s=0.05)
        with closing(other), pytest.raises(BackPressure, match="locked"), writing(other, path, FIRST):
            pytest.fail("two wrote at once")  # pragma: no cover
        with looking(path, FIRST) as reader:
            assert reader is not None
            assert reader.execute("SELECT name FROM items").fetchall() == [("flask",)]


def test_a_look_is_one_view_however_much_is_written_meanwhile(path: Path) -> None:
    filled(path)
    with looking(path, FIRST) as reader, closing(open_database(path, FIRST)) as writer:
        assert reader is not None
        before = reader.execute("SELECT count(*) FROM items").fetchone()
        with writing(writer, path, FIRST):
            writer.execute("INSERT INTO items (name) VALUES ('another')")
        assert reader.execute("SELECT count(*) FROM items").fetchone() == before


@pytest.fixture
def released(tmp_path: Path) -> Iterator[StateFolder]:
    yield StateFolder(first_release(tmp_path))


def test_the_state_folder_of_the_first_release_gives_the_same_results(released: StateFolder) -> None:
    with Ledger(released.ledger, readonly=True) as ledger, SqliteRecord(released.record, readonly=True) as record:
        stream = io.StringIO()
        write_csv(result_rows(ledger, record), stream)

    assert list(csv.reader(io.StringIO(stream.getvalue()))) == list(
        csv.reader(io.StringIO((released.root.parent / "results.csv").read_text()))
    )
    assert (version_of(released.ledger), version_of(released.record)) == (LEDGER.version, RECORD.version)
    assert version_of(released.record.with_name("record.sqlite3.version-0")) == 0
    assert version_of(released.ledger.with_name("ledger.sqlite3.version-1")) == 1


def test_the_audit_log_of_the_first_release_is_still_sealed(released: StateFolder) -> None:
    with SqliteRecord(released.record) as record:
        lines = list(record.audit_lines())

    assert len(lines) == 12
    assert broken_at(lines) is None
    assert "the microscope is being cleaned" in " ".join(line.text for line in lines)
