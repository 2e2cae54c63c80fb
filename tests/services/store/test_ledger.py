"""The ledger: what was seen, once each, through kills and restarts."""

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cases.sample_messages import NOON, arrived, digest

from monitor.errors import BackPressure, SettingsError
from monitor.frames.identity import FrameKey
from monitor.messages import BlobRef, FrameArrived
from services.store.ledger import LEDGER, TIME_POINTS_KEPT, Ledger
from services.store.ledger_row import LedgerRow, State, median_gap_s
from services.store.quarantine_summary import quarantine_summary

LATER = NOON + timedelta(hours=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as ledger:
        yield ledger


def fact(content: str, source: str, *, minutes: float = 0.0, flask: str = "A1", position: str = "p1") -> FrameArrived:
    """Return a frame of this content at this path, acquired so long after noon and arrived at once."""
    at = NOON + timedelta(minutes=minutes)
    key = FrameKey(flask=flask, position=position, time_point=f"{at:%Y%m%dT%H%M%SZ}")
    pixels = BlobRef(store="watch", path=source, sha256=digest(content))
    return arrived().model_copy(
        update={"frame_id": digest(content), "key": key, "pixels": pixels, "acquired_at": at, "arrived_at": at}
    )


def frame(content: str, source: str = "", mtime_ns: int = 1, **where: float | str) -> LedgerRow:
    found = fact(content, source or content, **where)  # type: ignore[arg-type]
    return LedgerRow(found.source, 100, mtime_ns, found.frame_id, "arrived", "", "", found)


def bad(source: str, mtime_ns: int = 1, reason: str = "truncated") -> LedgerRow:
    detail = f"{Path(source).name} is bad"
    return LedgerRow(source, 100, mtime_ns, digest(f"bad {source}"), "quarantined", reason, detail, None)


def states(ledger: Ledger) -> list[tuple[str, int, State]]:
    return [(row.source, row.mtime_ns, row.state) for row in ledger.rows()]


def ids(frames: list[FrameArrived]) -> list[str]:
    return [found.frame_id for found in frames]


def test_rows_come_back_as_they_were_put_in(ledger: Ledger) -> None:
    rows = [frame("b", minutes=15), bad("c"), frame("a")]

    assert ledger.add(rows, LATER) == rows
    assert list(ledger.rows()) == rows
    assert ledger.counts() == {"arrived": 2, "quarantined": 1}
    assert ledger.frames() == [rows[2].arrived, rows[0].arrived]
    assert ledger.quarantined() == {"c": "truncated"}
    assert rows[0].key == rows[0].arrived.key if rows[0].arrived else False
    assert rows[1].key is None and rows[1].acquired_at is None


def test_the_same_file_again_changes_nothing(ledger: Ledger) -> None:
    ledger.add([frame("a")], NOON)
    ledger.mark_queued([digest("a")])

    (again,) = ledger.add([frame("a")], LATER)

    assert again.state == "queued"
    assert states(ledger) == [("a", 1, "queued")]
    assert ledger.unqueued() == []


@pytest.mark.parametrize("queued", [False, True])
def test_copy_of_a_frame_is_a_duplicate_and_says_of_which(ledger: Ledger, queued: bool) -> None:
    ledger.add([frame("a", "first")], NOON)
    if queued:
        ledger.mark_queued([digest("a")])

    (copy,) = ledger.add([frame("a", "second")], LATER)

    assert (copy.state, copy.detail) == ("duplicate", "same content as first")
    assert len(ledger.frames()) == 1
    assert ledger.known(["first", "second", "third"]) == {"first": (100, 1), "second": (100, 1)}


def test_two_copies_in_one_batch_are_one_frame(ledger: Ledger) -> None:
    rows = ledger.add([frame("a", "first"), frame("a", "second")], NOON)

    assert [row.state for row in rows] == ["arrived", "duplicate"]


def test_touched_file_stays_one_frame(ledger: Ledger) -> None:
    ledger.add([frame("a", mtime_ns=1)], NOON)
    ledger.mark_queued([digest("a")])

    ledger.add([frame("a", mtime_ns=2)], LATER)

    assert states(ledger) == [("a", 1, "queued"), ("a", 2, "duplicate")]
    assert ledger.known(["a"]) == {"a": (100, 2)}


def test_other_content_under_the_same_name_replaces_the_frame(ledger: Ledger) -> None:
    ledger.add([frame("old", "x", 1)], NOON)
    ledger.mark_queued([digest("old")])

    ledger.add([frame("new", "x", 2)], LATER)

    assert states(ledger) == [("x", 1, "replaced"), ("x", 2, "arrived")]
    assert ids(ledger.frames()) == [digest("new")]
    assert ledger.known(["x"]) == {"x": (100, 2)}


def test_content_that_comes_back_is_not_a_second_frame(ledger: Ledger) -> None:
    for mtime_ns, content in enumerate(("old", "new", "old"), start=1):
        ledger.add([frame(content, "x", mtime_ns)], NOON)

    assert states(ledger) == [("x", 1, "replaced"), ("x", 2, "replaced"), ("x", 3, "duplicate")]


def test_bad_file_that_is_written_anew_has_vanished(ledger: Ledger) -> None:
    ledger.add([bad("x", 1)], NOON)

    ledger.add([frame("a", "x", 2)], LATER)

    assert states(ledger) == [("x", 1, "vanished"), ("x", 2, "arrived")]
    assert ledger.quarantined() == {}


def test_bad_file_that_was_mended_from_outside_becomes_a_frame_in_its_place(ledger: Ledger) -> None:
    ledger.add([bad("x", 1, "no_pixel_size"), frame("b")], NOON)

    ledger.add([frame("a", "x", 1)], LATER)

    assert states(ledger) == [("x", 1, "arrived"), ("b", 1, "arrived")]


def test_frame_overwritten_with_rubbish_is_replaced(ledger: Ledger) -> None:
    ledger.add([frame("a", "x", 1)], NOON)

    ledger.add([bad("x", 2)], LATER)

    assert states(ledger) == [("x", 1, "replaced"), ("x", 2, "quarantined")]
    assert ledger.known(["x"]) == {}


def test_only_quarantined_files_vanish(ledger: Ledger) -> None:
    ledger.add([bad("x"), bad("y"), frame("a")], NOON)

    ledger.mark_vanished(["x", "a", "unheard of"])

    assert ledger.counts() == {"vanished": 1, "quarantined": 1, "arrived": 1}
    assert ledger.quarantined() == {"y": "truncated"}


def test_unqueued_comes_oldest_first_and_in_parts(ledger: Ledger) -> None:
    ledger.add([frame(str(n), minutes=60 - n) for n in range(10)], NOON)

    assert ids(ledger.unqueued(3)) == [digest("9"), digest("8"), digest("7")]
    ledger.mark_queued([digest("9"), digest("8")])
    assert ids(ledger.unqueued()) == [digest(str(n)) for n in range(7, -1, -1)]
    assert ledger.counts() == {"queued": 2, "arrived": 8}


def test_marking_queued_leaves_other_states_alone(ledger: Ledger) -> None:
    ledger.add([frame("a", "first"), frame("a", "second"), frame("old", "x", 1)], NOON)
    ledger.add([frame("new", "x", 2)], NOON)

    ledger.mark_queued([digest("a"), digest("old"), digest("nobody")])

    assert states(ledger) == [
        ("first", 1, "queued"),
        ("second", 1, "duplicate"),
        ("x", 1, "replaced"),
        ("x", 2, "arrived"),
    ]


def test_lost_queue_makes_everything_without_a_result_new_again(ledger: Ledger) -> None:
    ledger.add([frame("done"), frame("open"), frame("old", "x", 1), bad("b")], NOON)
    ledger.add([frame("new", "x", 2)], NOON)
    ledger.mark_queued([digest("done"), digest("open"), digest("new")])

    assert ledger.mark_unqueued({digest("done")}.intersection) == 3

    assert set(ids(ledger.unqueued())) == {digest("open"), digest("old"), digest("new")}
    assert ledger.mark_unqueued({digest(name) for name in ("done", "open", "old", "new")}.intersection) == 0


def test_unfinished_yields_what_has_no_result_oldest_first(ledger: Ledger) -> None:
    ledger.add([frame(str(n), minutes=60 - n) for n in range(5)], NOON)
    ledger.add([frame("4", "copy of 4"), bad("b")], NOON)
    ledger.mark_queued([digest("0"), digest("1")])

    assert ids(list(ledger.unfinished({digest("3")}.intersection))) == [
        digest("4"),
        digest("2"),
        digest("1"),
        digest("0"),
    ]


def test_unfinished_may_be_queued_while_it_is_read(ledger: Ledger) -> None:
    ledger.add([frame(str(n), minutes=n) for n in range(20)], NOON)

    found = []
    for waiting in ledger.unfinished(set[str]().intersection):
        ledger.mark_queued([waiting.frame_id])
        found.append(waiting.frame_id)

    assert found == [digest(str(n)) for n in range(20)]
    assert ledger.counts() == {"queued": 20}


def test_times_in_other_zones_are_ordered_as_times(ledger: Ledger) -> None:
    late, early = frame("late"), frame("early")
    assert late.arrived and early.arrived
    late_at = datetime.fromisoformat("2026-03-10T10:30:00-05:00")
    early_at = datetime.fromisoformat("2026-03-10T12:30:00.5+02:00")
    ledger.add(
        [
            dataclasses.replace(late, arrived=late.arrived.model_copy(update={"acquired_at": late_at})),
            dataclasses.replace(early, arrived=early.arrived.model_copy(update={"acquired_at": early_at})),
        ],
        NOON,
    )

    assert ids(ledger.frames()) == [digest("early"), digest("late")]


def test_times_that_sqlite_cannot_hold_do_no_harm(ledger: Ledger) -> None:
    (stored,) = ledger.add([frame("a", mtime_ns=2**80)], NOON)

    assert stored.mtime_ns == 2**80
    (again,) = ledger.add([frame("a", mtime_ns=2**80)], NOON)
    assert again.state == "arrived"
    assert ledger.counts() == {"arrived": 1}


def test_newest_arrival_of_each_flask_with_its_rhythm(ledger: Ledger) -> None:
    rows = [
        frame(f"{flask}{position}{n}", minutes=step * n + shift, flask=flask, position=position)
        for flask, step in (("A1", 15), ("B1", 60))
        for position, shift in (("p1", 0), ("p2", 1))
        for n in range(20)
    ]
    ledger.add([*reversed(rows), bad("x")], NOON)

    found = ledger.last_arrivals()

    assert set(found) == {"A1", "B1"}
    assert found["A1"].frame_id == digest("A1p219")
    assert found["A1"].acquired_at == NOON + timedelta(minutes=15 * 19 + 1)
    assert found["A1"].interval_s == 900.0
    assert found["B1"].interval_s == 3600.0
    moments = found["B1"].moments["p1", "phase"]
    assert len(moments) == TIME_POINTS_KEPT and list(moments) == sorted(moments)
    assert moments[-1] == NOON + timedelta(hours=19)


def test_rhythm_needs_four_time_points_of_one_position() -> None:
    minutes = [NOON + timedelta(minutes=n) for n in range(10)]

    assert median_gap_s([]) is None
    assert median_gap_s([minutes[:3], minutes[3:6], minutes[6:9]]) is None
    assert median_gap_s([minutes[:3], minutes[0:10:3]]) == 180.0


def test_empty_ledger_is_empty(ledger: Ledger) -> None:
    assert (ledger.counts(), ledger.frames(), ledger.last_arrivals(), list(ledger.rows())) == ({}, [], {}, [])


def test_what_was_put_aside_is_said_in_a_line(ledger: Ledger) -> None:
    assert quarantine_summary(ledger) == ""
    hostile, named = bad("A1/\x1b[31m.tif", reason="layout"), bad("B2/b.tif", reason="layout")
    files = [frame("a"), bad("A1/p1/cut.tif"), hostile, named]
    ledger.add(files, NOON)
    note = quarantine_summary(ledger)
    assert note.startswith("3 files were put aside (2 layout, 1 truncated; all: `cellvigil results --csv -`)")
    assert note.endswith("; the newest: B2/b.tif is bad")
    ledger.mark_vanished(["B2/b.tif", "A1/p1/cut.tif"])
    assert quarantine_summary(ledger).startswith("1 file was put aside (1 layout; ")
    assert quarantine_summary(ledger).isprintable()


def test_failing_batch_leaves_nothing_behind(ledger: Ledger) -> None:
    unstorable = dataclasses.replace(bad("y"), detail="\ud800")

    with pytest.raises(UnicodeEncodeError):
        ledger.add([frame("a"), unstorable], NOON)

    assert ledger.counts() == {}
    assert [row.state for row in ledger.add([frame("a")], NOON)] == ["arrived"]


def test_opened_again_it_knows_everything(path: Path) -> None:
    with Ledger(path) as first:
        first.add([frame("a"), bad("b")], NOON)
        first.mark_queued([digest("a")])
        before = list(first.rows())

    with Ledger(path) as again:
        assert list(again.rows()) == before
        assert again.known(["a", "b"]) == {"a": (100, 1)}


def test_ledger_of_another_version_is_refused_with_the_mend(path: Path) -> None:
    Ledger(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {LEDGER.version + 1}")
    connection.close()

    for readonly in (False, True):
        with pytest.raises(SettingsError, match="another state folder") as refused:
            Ledger(path, readonly=readonly)
        assert refused.value.reason == "ledger_version"


def test_reader_beside_the_writer_sees_and_changes_nothing(path: Path, ledger: Ledger) -> None:
    ledger.add([frame("a")], NOON)

    with Ledger(path, readonly=True) as reader:
        assert reader.counts() == {"arrived": 1}
        with pytest.raises(BackPressure, match="readonly"):
            reader.add([frame("b")], NOON)
        ledger.add([frame("c")], NOON)
        assert reader.counts() == {"arrived": 2}


def test_reading_creates_no_file(path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        Ledger(path, readonly=True)

    assert refused.value.reason == "no_ledger"
    assert not path.exists()


WRITER = """
import sys, pathlib
sys.path.insert(0, {tests!r})
import importlib.util
spec = importlib.util.spec_from_file_location("ledger_cases", {this!r})
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
with cases.Ledger(pathlib.Path(sys.argv[1])) as ledger:
    for number in range(100_000):
        names = [f"{{number}}-{{n}}" for n in range(7)]
        ledger.add([cases.frame(name) for name in names], cases.NOON)
        ledger.mark_queued([cases.digest(names[0])])
        print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 12, 40])
def test_killed_while_writing_it_holds_whole_batches_and_all_that_was_told(path: Path, after: int) -> None:
    tests = str(Path(__file__).parents[2])
    script = WRITER.format(tests=tests, this=__file__)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) == after:
                child.send_signal(signal.SIGKILL)
                break
        told = max([after, *map(int, child.stdout.read().split())])
    assert child.returncode == -signal.SIGKILL

    with Ledger(path) as ledger:
        counts = ledger.counts()
        assert sum(counts.values()) in (7 * (told + 1), 7 * (told + 2))
        assert counts["queued"] in (told + 1, told + 2)
        assert [row.state for row in ledger.add([frame("0-0", "elsewhere"), frame("fresh")], NOON)] == [
            "duplicate",
            "arrived",
        ]
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_moments_are_utc_when_read_back(ledger: Ledger) -> None:
    ledger.add([frame("a")], NOON)

    assert ledger.last_arrivals()["A1"].arrived_at.tzinfo == UTC
