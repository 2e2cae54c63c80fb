"""Missing positions, frozen pictures and what services saw, as alarms of a flask or of the machine."""

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from cases.culture_rows import INTERVAL, alarms_of, frame_row, operator_row, told
from cases.sample_messages import NOON, digest

from monitor.culture.rows import ConditionRow, CultureRow, FrameRow
from monitor.culture.settings import CultureSettings
from monitor.culture.state import Step, fold
from monitor.messages import MACHINE, Channel, ConditionObserved, OperatorAction

SETTINGS = CultureSettings(baseline_frames=8, window_frames=6)


def at(number: int, position: str, focus: float | None = None) -> FrameRow:
    """Return the frame of a position at a time point; each measures something else unless `focus` is given."""
    row = frame_row(number, focus=focus or 1.0 + 0.001 * (number % 7) + 0.0001 * int(position[1:]))
    seconds = timedelta(seconds=20 * int(position[1:]))
    return row.model_copy(
        update={
            "frame_id": digest(f"{position}/{number}"),
            "key": row.key.model_copy(update={"position": position}),
            "acquired_at": row.acquired_at + seconds,
            "features": {"area_median": 1500.0 + (0.0 if focus else number)},
        }
    )


def scan(first: int, last: int, *positions: str) -> list[CultureRow]:
    return [at(number, position) for number in range(first, last) for position in positions]


def history(rows: Sequence[CultureRow], flask: str = "A1") -> list[tuple[CultureRow, Step]]:
    return fold(flask, rows, SETTINGS)


def seen(channel: Channel, bad: bool, number: float, flask: str = MACHINE, position: str | None = None) -> ConditionRow:
    moment = NOON + number * INTERVAL
    return ConditionRow.of(
        ConditionObserved(
            flask=flask, channel=channel, bad=bad, since=moment - INTERVAL, observed_at=moment, what="as it was seen",
            position=position,
        )
    )  # fmt: skip


def test_a_position_that_is_left_out_of_three_rounds_is_missed_until_it_comes_back() -> None:
    rows = [*scan(0, 10, "p1", "p2", "p3"), *scan(10, 20, "p1", "p3"), *scan(20, 25, "p1", "p2", "p3")]
    found = told(history(rows))
    assert [(channel, state) for channel, state, _ in found] == [("positions", "raised"), ("positions", "cleared")]
    assert 13 <= found[0][2] < 14
    assert 20 <= found[1][2] < 21
    assert "no frame of p2" in alarms_of(history(rows))[0].cause


def test_a_position_that_joins_later_or_drops_one_round_is_no_alarm() -> None:
    assert told(history([*scan(0, 30, "p1"), *scan(15, 30, "p2")])) == []
    assert told(history([*scan(0, 10, "p1", "p2"), *scan(10, 12, "p1"), *scan(12, 30, "p1", "p2")])) == []


def test_a_position_that_was_taken_out_on_purpose_is_forgotten_with_the_acknowledgement() -> None:
    ack = operator_row(OperatorAction.ACKNOWLEDGE, 15.5, Channel.POSITIONS)
    found = told(history([*scan(0, 10, "p1", "p2"), *scan(10, 40, "p1"), ack]))
    assert [state for _, state, _ in found] == ["raised", "acknowledged", "cleared"]


def test_the_position_with_most_frames_can_go_missing_too() -> None:
    rows = [*scan(0, 5, "p1"), *scan(5, 10, "p1", "p2", "p3"), *scan(10, 30, "p2", "p3")]
    found = told(history(rows))
    assert [(channel, state) for channel, state, _ in found] == [("positions", "raised")]


def test_pictures_that_measure_the_same_again_and_again_are_frozen_until_they_change() -> None:
    rows = [*scan(0, 12, "p1"), *(at(number, "p1", 1.005) for number in range(12, 18)), *scan(18, 22, "p1")]
    found = told(history(rows))
    assert [(channel, state) for channel, state, _ in found] == [("frozen", "raised"), ("frozen", "cleared")]
    assert 15 <= found[0][2] < 16
    assert "p1 is the same" in alarms_of(history(rows))[0].cause
    frozen = [step.rolling.n_frames for row, step in history(rows) if 15 <= (row.at - NOON) / INTERVAL < 18]
    assert len(set(frozen)) == 1


def test_rows_without_features_say_nothing_of_a_frozen_picture() -> None:
    assert told(history([frame_row(number) for number in range(20)])) == []


def test_copies_that_the_ingester_saw_freeze_one_position_until_a_frame_of_it_comes() -> None:
    rows = [*scan(0, 12, "p1", "p2"), seen(Channel.FROZEN, True, 12.0, "A1", "p1"), *scan(12, 14, "p2")]
    assert [state for _, state, _ in told(history(rows))] == ["raised"]
    assert [state for _, state, _ in told(history([*rows, *scan(14, 15, "p1")]))] == ["raised", "cleared"]


@pytest.mark.parametrize("channel", [Channel.LAG, Channel.CLOCK, Channel.DISK])
def test_trouble_of_the_machine_is_an_alarm_of_its_own(channel: Channel) -> None:
    rows = [seen(channel, True, 1.0), seen(channel, False, 5.0)]
    raised, cleared = alarms_of(history(rows, MACHINE))
    assert (raised.flask, raised.channel, raised.cause) == (MACHINE, channel, "as it was seen")
    assert (raised.frame_id, raised.estimated_onset_at) == (None, NOON)
    assert (cleared.state, cleared.alarm_id) == ("cleared", raised.alarm_id)


@pytest.mark.parametrize("seed", range(3))
def test_order_does_not_count(seed: int) -> None:
    rows = [
        *scan(0, 10, "p1", "p2"), *scan(10, 20, "p1"), seen(Channel.FROZEN, True, 15.5, "A1", "p1"),
        *scan(20, 30, "p1", "p2"),
    ]  # fmt: skip
    mixed = [*rows, *rows[5:15]]
    random.Random(seed).shuffle(mixed)
    assert history(mixed) == history(rows)
    assert len(alarms_of(history(rows))) == 4


def test_the_same_observation_is_one_row() -> None:
    one = seen(Channel.DISK, True, 1.0)
    again = ConditionRow.of(one.observed.model_copy(update={"observed_at": NOON + 9 * INTERVAL}))
    assert one.row_id == again.row_id
    assert one.row_id != seen(Channel.DISK, False, 1.0).row_id
