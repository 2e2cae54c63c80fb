"""Copies, lag, clocks and the disk, as the ingester sees them; and how a flask without data is shown."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from alarm_receiver import wait_for
from cases.bad_files import good_bytes
from cases.culture_rows import INTERVAL, frame_row, silence_row
from cases.folded_state import folded
from cases.ingest_run import Chain, name_of, place
from cases.sample_messages import NOON, arrived

from monitor.culture.rows import ConditionRow
from monitor.messages import MACHINE, Channel, ConditionObserved, FrameArrived
from services.ingest.health import GIB, HealthWatch
from services.settings import HealthSettings
from services.store.fleet import Fleet, fleet_table
from services.store.ledger_row import LedgerRow
from services.store.record_view import viewed_record
from services.transport.codec import decode
from services.transport.memory import MemoryBus
from services.transport.streams import FLASK_EVENTS

NOW = datetime(2026, 3, 10, 13, tzinfo=UTC)


def watch(free_gib: list[float] | None = None, standing: tuple[Channel, ...] = ()) -> HealthWatch:
    return HealthWatch(HealthSettings(), Path(), standing, lambda _: int((free_gib or [100.0])[0] * GIB))


def row(frame: FrameArrived, state: str = "arrived") -> LedgerRow:
    return LedgerRow(frame.source, 1, 1, frame.frame_id, state, "", "", frame)  # type: ignore[arg-type]


def told(found: list[ConditionObserved]) -> list[tuple[str, bool]]:
    return [(one.channel.value, one.bad) for one in found]


def test_copies_of_the_newest_frame_in_a_row_are_a_frozen_picture_and_other_copies_are_not() -> None:
    health = watch()
    for number in range(3):
        assert health.note(row(arrived(number)), NOW) == []
    copy, old = row(arrived(2), "duplicate"), row(arrived(0), "duplicate")
    assert [told(health.note(one, NOW)) for one in (copy, old, copy)] == [[], [], []]
    (found,) = health.note(copy, NOW)
    assert (found.flask, found.channel, found.position, found.bad) == ("A1", Channel.FROZEN, "p1", True)
    assert "3 copies" in found.what
    assert health.note(copy, NOW) == []
    health.note(row(arrived(3)), NOW)
    assert health.note(copy, NOW) == []


def test_lag_is_told_when_it_begins_and_when_it_is_well_over() -> None:
    health = watch()
    waits = [0.0, 1700.0, 1900.0, 2500.0, 1000.0, 800.0, 0.0]
    assert [told(health.look(NOW, wait)) for wait in waits] == [
        [], [], [("lag", True)], [], [], [("lag", False)], [],
    ]  # fmt: skip
    (found,) = watch().look(NOW, 3600.0)
    assert (found.flask, found.since) == (MACHINE, NOW - timedelta(hours=1))
    assert "60 min" in found.what


def test_a_disk_that_fills_is_told_and_room_a_quarter_above_the_least_ends_it() -> None:
    free = [5.0]
    health = watch(free)
    found = []
    for gib in (5.0, 0.9, 0.5, 1.1, 1.3, 5.0):
        free[0] = gib
        found.append(told(health.look(NOW, 0.0)))
    assert found == [[], [("disk", True)], [], [], [("disk", False)], []]


def test_what_stood_before_a_restart_is_ended_and_not_told_again() -> None:
    assert told(watch([0.5], (Channel.DISK,)).look(NOW, 0.0)) == []
    assert told(watch([50.0], (Channel.DISK,)).look(NOW, 0.0)) == [("disk", False)]


def test_three_frames_in_a_row_from_the_future_are_a_wrong_clock() -> None:
    health = watch()

    def ahead(number: int, seconds: float) -> LedgerRow:
        frame = arrived(number)
        return row(frame.model_copy(update={"acquired_at": frame.arrived_at + timedelta(seconds=seconds)}))

    found = [
        told(health.note(ahead(n, s), NOW)) for n, s in enumerate((0.0, 900.0, 0.0, 900.0, 900.0, 900.0, 900.0, 0.0))
    ]
    assert found == [[], [], [], [], [], [("clock", True)], [], [("clock", False)]]
    assert told(health.note(ahead(9, -1e6), NOW)) == []


def conditions(chain: Chain) -> list[ConditionObserved]:
    found = [decode(payload) for payload in MemoryBus(chain.queue).history(FLASK_EVENTS.stream())]
    return [message for message in found if isinstance(message, ConditionObserved)]


def test_the_ingester_tells_of_copies_of_the_newest_frame(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    with chain.running():
        place(chain.root / name_of("A1", 0), good_bytes(1))
        wait_for(lambda: len(chain.sources()) == 1)
        for number in range(1, 4):
            place(chain.root / name_of("A1", number), good_bytes(1))
        wait_for(lambda: len(conditions(chain)) == 1)
    (found,) = conditions(chain)
    assert (found.flask, found.channel, found.bad) == ("A1", Channel.FROZEN, True)
    assert "condition" in chain.log.events()


def test_the_ingester_tells_of_frames_that_nobody_works_off(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.settings = chain.settings.model_copy(update={"health": HealthSettings(lag_s=0.2, look_s=0.05)})
    with chain.running():
        place(chain.root / name_of("A1", 0), good_bytes(1))
        wait_for(lambda: told(conditions(chain)) == [("lag", True)])


def test_a_flask_without_data_is_stale_and_never_ok(tmp_path: Path) -> None:
    rows = [frame_row(number) for number in range(6)]
    still = [frame_row(number, flask="B2") for number in range(6)]
    state = folded(tmp_path, [*rows, *still, silence_row(5, 9.0, flask="B2"), silence_row(0, 4.0, flask="C3")])
    with viewed_record(state.record) as record:
        assert record is not None
        lines = {line.flask: line for line in Fleet().lines(record)}
    assert lines["A1"].state(NOON + 6 * INTERVAL) == "ok"
    assert lines["A1"].state(NOON + 9 * INTERVAL) == "stale"
    assert lines["B2"].state(NOON + 6 * INTERVAL) == "stale"
    assert lines["C3"].newest is None
    assert lines["C3"].state(NOON) == "stale"
    assert fleet_table(list(lines.values()), NOON).row_count == 3


def test_the_machine_has_a_line_while_one_of_its_alarms_stands(tmp_path: Path) -> None:
    full = ConditionObserved(
        flask=MACHINE, channel=Channel.DISK, bad=True, since=NOW, observed_at=NOW, what="0.5 GiB free"
    )
    free = full.model_copy(update={"bad": False, "since": NOW + INTERVAL, "observed_at": NOW + INTERVAL})
    state = folded(tmp_path, [ConditionRow.of(full)])
    with viewed_record(state.record) as record:
        assert record is not None
        (line,) = Fleet().lines(record)
    assert (line.flask, line.state(NOW), line.alarms[0].cause) == (MACHINE, "alarm", "0.5 GiB free")
    state = folded(tmp_path, [ConditionRow.of(free)])
    with viewed_record(state.record) as record:
        assert record is not None
        assert Fleet().lines(record) == []


def test_a_flask_stands_in_the_table_under_its_own_name(tmp_path: Path) -> None:
    state = folded(tmp_path, [frame_row(0, flask="-A1"), frame_row(0, flask="B\x1b[2J")])
    with viewed_record(state.record) as record:
        assert record is not None
        names = fleet_table(Fleet().lines(record), NOON).columns[0].cells
        assert [str(name) for name in names] == ["-A1", "B\\x1b[2J"]
