from datetime import timedelta

from cases.culture_rows import INTERVAL, frame_row, operator_row, silence_row, told
from cases.folded_state import SETTINGS
from cases.sample_messages import NOON, digest

from monitor.culture.rows import OperatorRow
from monitor.culture.standing import AlarmStanding
from monitor.culture.state import FlaskState, fold
from monitor.messages import MACHINE, AlarmStatus, Channel, OperatorAction
from services.alarms.culture_time import culture_time, shelves_that_end
from services.store.ledger_row import LastArrival

YEAR = timedelta(days=365)


def arrival(number: int, later: timedelta = timedelta(seconds=5)) -> LastArrival:
    at = NOON + number * INTERVAL
    return LastArrival(digest(f"A1/{number}"), at, at + later, {})


def test_a_flasks_time_is_its_last_frames_and_as_long_after_as_it_has_been_here() -> None:
    live, played = {"A1": arrival(4)}, {"A1": arrival(4, YEAR)}
    assert culture_time("A1", None, live, NOON + 8 * INTERVAL) == NOON + 8 * INTERVAL - timedelta(seconds=5)
    assert culture_time("A1", None, played, NOON + 4 * INTERVAL + YEAR + INTERVAL) == NOON + 5 * INTERVAL
    newest = NOON + 9 * INTERVAL
    assert newest < culture_time("A1", newest, live, NOON) < newest + timedelta(seconds=1)
    assert culture_time("B2", None, live, NOON) == NOON
    assert culture_time(MACHINE, NOON, live, NOON + YEAR) == NOON + YEAR


def test_a_shelf_ends_in_time_though_nothing_comes_from_the_flask() -> None:
    rows = [
        *(frame_row(number) for number in range(20)), silence_row(19, 23.5),
        operator_row(OperatorAction.SHELVE, 24.0, Channel.ARRIVAL, until=30.0),
    ]  # fmt: skip
    state = FlaskState("A1", SETTINGS)
    for row in rows:
        state.step(row)
    arrivals = {"A1": arrival(19)}
    assert list(shelves_that_end(state.standings(), arrivals, NOON + 29 * INTERVAL)) == []
    (ended,) = shelves_that_end(state.standings(), arrivals, NOON + 31 * INTERVAL)
    (again,) = shelves_that_end(state.standings(), arrivals, NOON + 40 * INTERVAL)
    assert ended == again
    assert ended.at == NOON + 30 * INTERVAL
    found = told(fold("A1", [*rows, OperatorRow.of(ended)], SETTINGS))
    assert found[-1] == ("arrival", "unshelved", 30.0)
    assert state.step(OperatorRow.of(ended)).alarms[0].status is AlarmStatus.UNACKNOWLEDGED
    assert list(shelves_that_end(state.standings(), arrivals, NOON + 40 * INTERVAL)) == []


def test_what_is_not_on_the_shelf_is_left_alone() -> None:
    standing = AlarmStanding(
        flask="A1", channel=Channel.OPTICS, status=AlarmStatus.OUT_OF_SERVICE, since=NOON, by="anna", why="-",
        shelved_until=None, raised=None,
    )  # fmt: skip
    assert list(shelves_that_end([standing], {}, NOON + YEAR)) == []
