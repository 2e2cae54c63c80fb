from datetime import datetime, timedelta

import pytest
from cases.sample_messages import NOON, arrived

from monitor.messages import FrameArrived
from services.ingest.silence import SilenceWatch
from services.store.ledger_row import LastArrival

QUARTER = timedelta(minutes=15)


def frame(number: int, *, position: str = "p1", late_s: float = 0.0, taken_s: float = 0.0) -> FrameArrived:
    """Return a frame of time point `number`, taken and arrived later than usual by so many seconds."""
    fact = arrived(number)
    return fact.model_copy(
        update={
            "key": fact.key.model_copy(update={"position": position}),
            "acquired_at": fact.acquired_at + timedelta(seconds=taken_s),
            "arrived_at": fact.arrived_at + timedelta(seconds=late_s),
        }
    )


def watch(frames: list[FrameArrived], expected_interval_s: float | None = None) -> SilenceWatch:
    silence = SilenceWatch(expected_interval_s, 3.0, {})
    for fact in frames:
        silence.note(fact)
    return silence


def at(number: float) -> datetime:
    return NOON + number * QUARTER + timedelta(seconds=3.5)


def test_a_flask_is_silent_after_three_of_its_own_intervals_and_told_once() -> None:
    silence = watch([frame(number) for number in range(5)])
    assert silence.silent(at(7)) == []
    (found,) = silence.silent(at(7.1))
    assert (found.flask, found.last_frame_id, found.last_acquired_at) == ("A1", frame(4).frame_id, NOON + 4 * QUARTER)
    assert found.expected_interval_s == 900.0
    silence.told(found)
    assert silence.silent(at(20)) == []
    silence.note(frame(21))
    assert silence.silent(at(22)) == []
    assert len(silence.silent(at(30))) == 1


def test_without_a_rhythm_nothing_is_silent_unless_one_is_set() -> None:
    assert watch([frame(0), frame(1), frame(2)]).silent(at(99)) == []
    assert len(watch([frame(0)], 900.0).silent(at(4))) == 1


@pytest.mark.parametrize("position", ["p1", "p2"])
def test_a_silence_counts_from_the_newest_frame_even_when_an_older_one_arrived_last(position: str) -> None:
    """The fold takes a frame that is newer than the silence's last one for proof that it is over."""
    frames = [frame(number) for number in range(6)]
    straggler = frame(2, position=position, late_s=4000.0, taken_s=30.0)
    (found,) = watch([*frames, straggler]).silent(at(12))
    assert found.last_acquired_at == NOON + 5 * QUARTER
    assert found.last_frame_id == straggler.frame_id


def test_what_the_ledger_knows_counts_after_a_restart() -> None:
    moments = {("p1", "phase"): tuple(NOON + number * QUARTER for number in range(5))}
    last = LastArrival(frame(3).frame_id, NOON + 3 * QUARTER, at(4), moments)
    silence = SilenceWatch(None, 3.0, {"A1": last})
    assert silence.silent(at(7)) == []
    (found,) = silence.silent(at(7.1))
    assert found.last_acquired_at == NOON + 4 * QUARTER
