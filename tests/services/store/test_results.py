"""Every frame has one row that says what became of it."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cases.sample_messages import ESTIMATED, NOON, arrived, digest

from monitor.messages import EstimateState, FrameArrived, FrameEstimate, FrameFailed, PotencyEstimated
from services.store.ledger import Ledger
from services.store.ledger_row import LedgerRow, State
from services.store.record_sqlite import SqliteRecord
from services.store.results import Completeness, ResultRow, completeness, inert, result_rows, write_csv

COLUMNS = [
    "frame_id", "source", "flask", "position", "acquired_at", "state", "reason", "cells", "nuclei", "confluency",
    "potency", "low", "high",
]  # fmt: skip


@dataclass
class Books:
    """A ledger and a record, filled row by row."""

    ledger: Ledger
    record: SqliteRecord

    def arrive(self, number: int, flask: str = "A1", source: str | None = None) -> FrameArrived:
        fact = arrived(number, flask)
        if source is not None:
            fact = fact.model_copy(update={"pixels": fact.pixels.model_copy(update={"path": source})})
        row = LedgerRow(fact.source, 100, number, fact.frame_id, "arrived", "", "", fact)
        self.ledger.add([row], NOON)
        return fact

    def seen(self, source: str, state: State, reason: str = "", content: str = "", mtime_ns: int = 1) -> None:
        row = LedgerRow(source, 50, mtime_ns, content and digest(content), state, reason, "why", None)
        self.ledger.add([row], NOON)

    def estimated(self, fact: FrameArrived, estimate: FrameEstimate | None = None) -> PotencyEstimated:
        update = {
            "frame_id": fact.frame_id, "key": fact.key, "source": fact.source, "acquired_at": fact.acquired_at,
            "estimate": estimate or ESTIMATED.estimate,
        }  # fmt: skip
        found = ESTIMATED.model_copy(update=update)
        with self.record.flask(fact.key.flask) as flask:
            flask.put_estimates([found])
        return found

    def failed(self, fact: FrameArrived, reason: str) -> None:
        self.record.put_failure(
            FrameFailed(frame_id=fact.frame_id, stage="segmenter", reason=reason, detail="what to do")
        )

    def rows(self) -> list[ResultRow]:
        return list(result_rows(self.ledger, self.record))

    def table(self) -> list[dict[str, str]]:
        stream = io.StringIO()
        write_csv(result_rows(self.ledger, self.record), stream)
        return list(csv.DictReader(io.StringIO(stream.getvalue())))


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with Ledger(tmp_path / "ledger.sqlite3") as ledger, SqliteRecord(tmp_path / "record.sqlite3") as record:
        yield Books(ledger, record)


def test_the_columns_are_those_that_are_promised(books: Books) -> None:
    stream = io.StringIO()
    assert write_csv(result_rows(books.ledger, books.record), stream) == 0
    assert stream.getvalue() == ",".join(COLUMNS) + "\n"


def test_an_estimated_frame_is_ok_with_its_numbers(books: Books) -> None:
    fact = books.arrive(0)
    books.estimated(fact)
    assert books.table() == [
        {
            "frame_id": fact.frame_id, "source": fact.source, "flask": "A1", "position": "p1",
            "acquired_at": "2026-03-10T12:00:00+00:00", "state": "ok", "reason": "", "cells": "87", "nuclei": "91",
            "confluency": "0.42", "potency": "91.25", "low": "80.5", "high": "102.0",
        }
    ]  # fmt: skip


def test_a_frame_that_cannot_be_assessed_says_why_and_has_no_potency(books: Books) -> None:
    books.estimated(books.arrive(0), FrameEstimate(state=EstimateState.NOT_ASSESSABLE, reason="too_few_cells"))
    (row,) = books.table()
    assert (row["state"], row["reason"]) == ("not_assessable", "too_few_cells")
    assert (row["potency"], row["low"], row["high"]) == ("", "", "")
    assert (row["cells"], row["confluency"]) == ("87", "0.42")


def test_a_failed_frame_says_why(books: Books) -> None:
    books.failed(books.arrive(0), "replaced")
    (row,) = books.table()
    assert (row["state"], row["reason"], row["flask"], row["cells"]) == ("failed", "replaced", "A1", "")


def test_a_frame_on_its_way_is_waiting(books: Books) -> None:
    books.arrive(0)
    books.ledger.mark_queued([books.arrive(1).frame_id])
    assert [(row.state, row.reason) for row in books.rows()] == [("waiting", ""), ("waiting", "")]


def test_a_quarantined_file_has_a_row_with_its_reason(books: Books) -> None:
    books.seen("A1/p1/broken.tif", "quarantined", "truncated")
    (row,) = books.table()
    assert (row["source"], row["state"], row["reason"]) == ("A1/p1/broken.tif", "quarantined", "truncated")
    assert {row[name] for name in COLUMNS if name not in ("source", "state", "reason")} == {""}


def test_every_frame_has_one_row_in_the_order_in_which_it_was_seen(books: Books) -> None:
    facts = [books.arrive(number) for number in (3, 1)]
    books.seen("x.tif", "quarantined", "layout")
    facts.append(books.arrive(2))
    for fact in facts[:2]:
        books.estimated(fact)
    books.failed(facts[2], "vanished")
    rows = books.rows()
    assert [row.source for row in rows] == [facts[0].source, facts[1].source, "x.tif", facts[2].source]
    assert [row.state for row in rows] == ["ok", "ok", "quarantined", "failed"]
    assert completeness(books.ledger, books.record) == Completeness(ledger=4, results=4, waiting=0)


def test_a_second_copy_of_a_frame_is_no_frame(books: Books) -> None:
    fact = books.arrive(0)
    books.estimated(fact)
    copy = fact.model_copy(update={"pixels": fact.pixels.model_copy(update={"path": "A1/p1/copy.tif"})})
    (stored,) = books.ledger.add([LedgerRow("A1/p1/copy.tif", 100, 5, fact.frame_id, "arrived", "", "", copy)], NOON)
    assert stored.state == "duplicate"
    assert [row.source for row in books.rows()] == [fact.source]
    assert completeness(books.ledger, books.record).ledger == 1


def test_a_file_that_was_renamed_out_of_quarantine_is_one_frame(books: Books) -> None:
    """It lay there with the same content under a name that fits no layout."""
    books.seen("wrong name.tif", "quarantined", "layout", content="A1/0")
    books.estimated(books.arrive(0))
    books.ledger.mark_vanished(["wrong name.tif"])
    assert [row.state for row in books.rows()] == ["ok"]
    assert completeness(books.ledger, books.record) == Completeness(ledger=1, results=1, waiting=0)


def test_a_copy_under_a_wrong_name_stays_in_quarantine(books: Books) -> None:
    books.estimated(books.arrive(0))
    books.seen("wrong name.tif", "quarantined", "layout", content="A1/0")
    assert [(row.state, row.reason, row.cells) for row in books.rows()] == [
        ("ok", "", 87),
        ("quarantined", "layout", None),
    ]


def test_a_file_that_left_quarantine_is_gone(books: Books) -> None:
    books.seen("x.tif", "quarantined", "truncated", content="half")
    books.ledger.mark_vanished(["x.tif"])
    assert books.rows() == []


def test_a_frame_whose_file_was_replaced_keeps_its_row(books: Books) -> None:
    first = books.arrive(0)
    books.estimated(first)
    other = arrived(1).model_copy(update={"pixels": first.pixels})
    books.ledger.add([LedgerRow(first.source, 100, 77, other.frame_id, "arrived", "", "", other)], NOON)
    assert [(row.frame_id, row.state) for row in books.rows()] == [
        (first.frame_id, "ok"),
        (other.frame_id, "waiting"),
    ]


def test_an_account_tells_what_is_still_waiting(books: Books) -> None:
    for number in range(5):
        fact = books.arrive(number)
        if number < 3:
            books.estimated(fact)
    assert completeness(books.ledger, books.record) == Completeness(ledger=5, results=3, waiting=2)


def test_names_cannot_run_as_formulas_or_break_lines(books: Books) -> None:
    books.arrive(0, flask='=HYPERLINK("x")')
    books.arrive(1, source='A1/p1/"two\nlines",1.tif')
    table = books.table()
    assert table[0]["flask"] == '\'=HYPERLINK("x")'
    assert table[1]["source"] == 'A1/p1/"two\\nlines",1.tif'


@pytest.mark.parametrize(
    ("text", "shown"),
    [("A1", "A1"), ("=1", "'=1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\t=1", "\\t=1"), ("µ", "µ"), ("", "")],
)
def test_text_is_made_inert(text: str, shown: str) -> None:
    assert inert(text) == shown
