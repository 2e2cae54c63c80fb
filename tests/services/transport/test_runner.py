"""The consume loop: one bad frame never fails its neighbours, and nothing is lost however a worker ends."""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from cases.sample_messages import SEGMENTED, arrived

from monitor.errors import BackPressure, CellvigilError, EngineFailure
from monitor.messages import AlarmChanged, AlarmState, Channel, FrameArrived, FrameFailed, Parked
from services.settings import DeliverySettings
from services.transport import runner as runner_module
from services.transport.bus import Delivery
from services.transport.codec import decode, encode
from services.transport.memory import MemoryBus, MemoryQueue
from services.transport.runner import EXIT_OK, EXIT_WORN_OUT, Runner
from services.transport.stage import Done, Outcome, Publication, Reject, Retry
from services.transport.streams import DEAD, FLASK_EVENTS, FRAMES

OUT = FLASK_EVENTS.stream()
FAST = DeliverySettings(beat_s=0.05, block_s=0.02, claim_idle_s=5.0)

Judge = Callable[[FrameArrived], Outcome]


def done(message: FrameArrived) -> Outcome:
    return Done((Publication(OUT, f"out:{message.frame_id}", message),))


@dataclass
class ScriptedStage:
    """Answers each frame as `judge` says, and notes what it was given."""

    judge: Judge = done
    name: str = "segmenter"
    batches: list[list[str]] = field(default_factory=list)
    hints: list[list[str]] = field(default_factory=list)
    warm_up: Callable[[], None] = lambda: None
    describe: Callable[[], dict[str, str]] = dict

    def prefetch(self, batch: Sequence[FrameArrived]) -> None:
        self.hints.append([message.frame_id for message in batch])

    def process(self, batch: Sequence[FrameArrived]) -> list[Outcome]:
        self.batches.append([message.frame_id for message in batch])
        return [self.judge(message) for message in batch]


class Bench:
    def __init__(self) -> None:
        self.queue = MemoryQueue()
        self.front = MemoryBus(self.queue)
        self.front.subscribe([FRAMES.name], "segmenter", "front")
        self.failures: list[FrameFailed] = []

    def fill(self, count: int) -> list[str]:
        messages = [arrived(number) for number in range(count)]
        self.front.publish([Publication(FRAMES.name, f"frame:{m.frame_id}", m) for m in messages])
        return [m.frame_id for m in messages]

    def runner(self, stage: ScriptedStage, settings: DeliverySettings = FAST, batch_size: int = 4) -> Runner:
        return Runner(
            stage,
            MemoryBus(self.queue),
            [FRAMES.name],
            settings,
            batch_size=batch_size,
            on_failure=self.failures.append,
        )

    def drain(self, stage: ScriptedStage, settings: DeliverySettings = FAST, batch_size: int = 4) -> int:
        return self.runner(stage, settings, batch_size).run(threading.Event(), drain=True)

    def abandon(self, count: int, times: int = 1) -> list[Delivery]:
        """Let workers die over the first entries without having started with them."""
        for number in range(times):
            dead = MemoryBus(self.queue)
            dead.subscribe([FRAMES.name], "segmenter", f"dead-{number}")
            held = dead.read(count, 0.0) if number == 0 else dead.claim(count, 60.0)
        return held

    def out(self, stream: str = OUT) -> list[str]:
        return [decode(payload).frame_id for payload in self.front.history(stream)]

    def dead(self) -> list[FrameFailed | Parked]:
        return [decode(payload) for payload in self.front.history(DEAD)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "RETRY_PAUSES_S", (0.02, 0.02))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_drain_returns_when_the_streams_are_empty(bench: Bench):
    ids = bench.fill(10)
    stage = ScriptedStage()

    assert bench.drain(stage) == EXIT_OK

    assert bench.out() == ids
    assert [len(batch) for batch in stage.batches] == [4, 4, 2]
    assert bench.front.waiting(FRAMES.name, "segmenter") == 0
    assert not bench.dead()
    assert bench.front.statuses() == {}, "a worker that ended does not look alive"


def test_next_batch_is_hinted_while_the_present_one_is_worked_on(bench: Bench):
    ids = bench.fill(10)
    stage = ScriptedStage()

    bench.drain(stage)

    assert stage.hints == [ids[4:8], ids[8:]]


def test_what_is_there_is_taken_without_waiting_for_more(bench: Bench):
    bench.fill(1)
    started = time.monotonic()

    bench.drain(ScriptedStage(), DeliverySettings(beat_s=2.0, block_s=0.2))

    assert time.monotonic() - started < 1.0


def test_rejected_frame_is_recorded_before_it_leaves_the_stream_and_its_mates_go_on(bench: Bench):
    ids = bench.fill(4)
    left: list[int] = []
    stage = ScriptedStage(
        lambda m: Reject(CellvigilError("too dark", reason="dark")) if m.frame_id == ids[1] else done(m)
    )
    runner = bench.runner(stage)
    runner._on_failure = lambda failure: (
        bench.failures.append(failure),
        left.append(bench.front.waiting(FRAMES.name, "segmenter")),
    )

    assert runner.run(threading.Event(), drain=True) == EXIT_OK

    expected = FrameFailed(frame_id=ids[1], stage="segmenter", reason="dark", detail="too dark")
    assert bench.failures == bench.dead() == [expected]
    assert left == [3], "the frame was still in the stream, its two mates behind it too"
    assert bench.out() == [ids[0], ids[2], ids[3]]


def test_retried_frame_comes_back_without_a_busy_loop(bench: Bench, quick_retries: None):
    ids = bench.fill(3)
    tries: list[float] = []

    def judge(message: FrameArrived) -> Outcome:
        if message.frame_id == ids[0]:
            tries.append(time.monotonic())
            if len(tries) < 3:
                return Retry(CellvigilError("not yet"))
        return done(message)

    bench.drain(ScriptedStage(judge))

    assert sorted(bench.out()) == sorted(ids)
    assert len(tries) == 3
    assert all(later - earlier >= 0.02 for earlier, later in itertools.pairwise(tries))


def test_frame_that_is_retried_in_vain_is_given_up(bench: Bench, quick_retries: None):
    ids = bench.fill(2)
    stage = ScriptedStage(
        lambda m: Retry(CellvigilError("still away", reason="share_away")) if m.frame_id == ids[0] else done(m)
    )

    bench.drain(stage)

    assert [failure.reason for failure in bench.dead()] == ["share_away"]
    assert bench.out() == [ids[1]]


def test_nothing_new_is_read_while_too_much_waits_for_another_try(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner_module, "MOST_RETRIES", 8)
    bench.fill(40)
    stage, stop = ScriptedStage(lambda m: Retry(CellvigilError("share is away"))), threading.Event()
    threading.Timer(0.4, stop.set).start()

    bench.runner(stage).run(stop)

    assert len({frame_id for batch in stage.batches for frame_id in batch}) <= 16  # one batch in hand, one read ahead


def test_stage_that_raises_is_asked_again_for_each_input_alone(bench: Bench, quick_retries: None):
    ids = bench.fill(4)

    def judge(message: FrameArrived) -> Outcome:
        if message.frame_id == ids[2]:
            raise ValueError("surprise")
        return done(message)

    bench.drain(ScriptedStage(judge))

    assert bench.out() == [ids[0], ids[1], ids[3]]
    (failure,) = bench.dead()
    assert (failure.frame_id, failure.reason, failure.detail) == (ids[2], "stage_error", "ValueError: surprise")


def test_wrong_number_of_outcomes_is_an_error(bench: Bench):
    bench.fill(2)
    stage = ScriptedStage()
    stage.process = lambda batch: [Done()]

    with pytest.raises(RuntimeError, match="segmenter returned 1 outcomes for 2 inputs"):
        bench.drain(stage)

    assert bench.front.waiting(FRAMES.name, "segmenter") == 2


def test_back_pressure_within_a_stage_is_waited_out(bench: Bench):
    ids = bench.fill(1)
    refusals = iter([BackPressure("full"), None])

    def judge(message: FrameArrived) -> Outcome:
        if error := next(refusals):
            raise error
        return done(message)

    bench.drain(ScriptedStage(judge))

    assert bench.out() == ids


def test_suspects_are_processed_alone(bench: Bench):
    ids = bench.fill(6)
    bench.abandon(3)
    stage = ScriptedStage()

    bench.drain(stage)

    assert sorted(map(len, stage.batches)) == [1, 1, 1, 3]
    assert sorted(bench.out()) == sorted(ids)


def test_frame_on_which_every_worker_dies_is_given_up_and_its_mates_complete(bench: Bench):
    """A worker's death is played by an error that nothing in the loop may catch."""
    ids = bench.fill(6)
    poison = ids[1]
    attempts: list[int] = []

    def judge(message: FrameArrived) -> Outcome:
        if message.frame_id == poison:
            attempts.append(1)
            raise SystemExit(139)
        return done(message)

    deaths = 0
    for _ in range(20):
        try:
            bench.drain(ScriptedStage(judge))
            break
        except SystemExit:
            deaths += 1

    assert deaths == 1 + FAST.max_solo_attempts
    assert [(f.frame_id, f.reason) for f in bench.dead()] == [(poison, "crashed_worker")]
    assert bench.failures == bench.dead()
    assert sorted(bench.out()) == sorted(set(ids) - {poison})


def test_frame_that_was_merely_near_many_deaths_is_not_given_up(bench: Bench):
    ids = bench.fill(2)
    bench.abandon(2, times=7)

    bench.drain(ScriptedStage())

    assert sorted(bench.out()) == sorted(ids)
    assert not bench.dead()


def test_suspect_that_asks_for_a_retry_is_not_taken_for_a_killer(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner_module, "RETRY_PAUSES_S", (0.01,) * 6)
    ids = bench.fill(1)
    bench.abandon(1)
    tries: list[int] = []

    def judge(message: FrameArrived) -> Outcome:
        tries.append(1)
        return done(message) if len(tries) > 5 else Retry(CellvigilError("not yet"))

    bench.drain(ScriptedStage(judge))

    assert bench.out() == ids


def test_message_of_an_unknown_version_is_parked_whole(bench: Bench):
    ids = bench.fill(2)
    entries = bench.queue.streams[FRAMES.name]
    alien = encode(arrived(9)).replace(b'"schema_version":1', b'"schema_version":7')
    entries[next(iter(entries))].payload = alien

    bench.drain(ScriptedStage())

    (parked,) = bench.dead()
    assert isinstance(parked, Parked)
    assert (parked.stream, parked.key) == (FRAMES.name, f"frame:{ids[0]}")
    assert parked.payload.encode() == alien
    assert parked.reason == "unknown_version"
    assert bench.out() == ids[1:]
    assert not bench.failures


def test_event_that_is_given_up_does_not_make_its_frame_a_failure(bench: Bench):
    alarm = AlarmChanged(
        event_id="e",
        alarm_id="a",
        flask="A1",
        channel=Channel.POTENCY,
        state=AlarmState.RAISED,
        at=SEGMENTED.frame.acquired_at,
        frame_id=SEGMENTED.frame_id,
        estimated_onset_at=SEGMENTED.frame.acquired_at,
        priority="high",
        cause="c",
        action="a",
    )
    bench.front.publish([Publication(FRAMES.name, "alarm:e", alarm)])

    bench.drain(ScriptedStage(lambda m: Reject(CellvigilError("no receiver", reason="gone"))))

    assert not bench.failures
    assert [(type(letter), letter.reason) for letter in bench.dead()] == [(Parked, "gone")]


class StickyFailure(EngineFailure):
    retryable = False


@pytest.mark.parametrize("error", [StickyFailure("illegal access"), MemoryError()])
def test_worn_out_engine_ends_the_worker_and_loses_nothing(bench: Bench, error: Exception):
    ids = bench.fill(9)

    def judge(message: FrameArrived) -> Outcome:
        raise error

    assert bench.drain(ScriptedStage(judge)) == EXIT_WORN_OUT
    assert not bench.dead()

    assert bench.drain(ScriptedStage()) == EXIT_OK
    assert sorted(bench.out()) == sorted(ids)


def test_engine_that_fails_on_large_batches_gets_small_ones(bench: Bench):
    ids = bench.fill(60)
    sizes: list[int] = []
    stage = ScriptedStage()
    answer = stage.process

    def process(batch: Sequence[FrameArrived]) -> list[Outcome]:
        sizes.append(len(batch))
        if len(batch) > 6 and len(sizes) < 10:
            raise EngineFailure("out of memory")
        return answer(batch)

    stage.process = process

    bench.drain(stage, batch_size=8)

    assert sorted(bench.out()) == sorted(ids)
    assert sizes[:9] == [8] + [1] * 8
    assert 4 in sizes[9:], "half of the batch that failed"
    assert 8 in sizes[9:], "and whole again later"
    assert not bench.dead()


def test_engine_that_fails_on_everything_is_started_afresh(bench: Bench):
    bench.fill(8)

    def judge(message: FrameArrived) -> Outcome:
        raise EngineFailure("no answer from the device")

    assert bench.drain(ScriptedStage(judge)) == EXIT_WORN_OUT
    assert not bench.dead()


def test_engine_that_fails_on_one_frame_is_kept(bench: Bench, quick_retries: None):
    ids = bench.fill(8)

    def judge(message: FrameArrived) -> Outcome:
        if message.frame_id == ids[0]:
            raise EngineFailure("too large", reason="engine_memory")
        return done(message)

    assert bench.drain(ScriptedStage(judge)) == EXIT_OK
    assert [failure.reason for failure in bench.dead()] == ["engine_memory"]
    assert sorted(bench.out()) == sorted(ids[1:])


def test_stop_finishes_the_batch_in_hand_and_gives_the_rest_back_as_it_was(bench: Bench):
    ids = bench.fill(12)
    stop = threading.Event()

    def judge(message: FrameArrived) -> Outcome:
        stop.set()
        return done(message)

    stage = ScriptedStage(judge)
    assert bench.runner(stage).run(stop) == EXIT_OK

    assert bench.out() == ids[:4]
    left = bench.queue.streams[FRAMES.name].values()
    assert [entry.deliveries for entry in left] == [0] * 8
    second = ScriptedStage()
    bench.drain(second)
    assert all(len(batch) > 1 for batch in second.batches), "nobody is a suspect"
    assert sorted(bench.out()) == sorted(ids)


def test_stop_among_suspects_gives_the_untried_back(bench: Bench):
    bench.fill(4)
    bench.abandon(4)
    stop = threading.Event()

    def judge(message: FrameArrived) -> Outcome:
        stop.set()
        return done(message)

    assert bench.runner(ScriptedStage(judge)).run(stop) == EXIT_OK

    assert len(bench.out()) == 1
    assert [(e.owner, e.deliveries) for e in bench.queue.streams[FRAMES.name].values()] == [("", 1)] * 3


def test_stop_gives_back_what_waits_for_another_try_without_suspicion(bench: Bench):
    bench.fill(2)
    stop, stage = threading.Event(), ScriptedStage(lambda m: Retry(CellvigilError("not yet")))
    threading.Timer(0.1, stop.set).start()

    bench.runner(stage).run(stop)

    assert [(e.owner, e.deliveries) for e in bench.queue.streams[FRAMES.name].values()] == [("", 0)] * 2


def test_worker_beats_while_it_warms_up_and_then_while_it_moves(bench: Bench):
    seen: list[str] = []

    def warm_up() -> None:
        time.sleep(0.3)
        seen.extend(status["state"] for status in bench.front.statuses().values())

    def judge(message: FrameArrived) -> Outcome:
        seen.extend(status["state"] for status in bench.front.statuses().values())
        return done(message)

    bench.fill(1)
    settings = DeliverySettings(beat_s=0.02, block_s=0.02, claim_idle_s=0.1)
    bench.drain(ScriptedStage(judge, warm_up=warm_up), settings)

    assert seen == ["warming", "running"]


def test_worker_says_what_runs_once_it_is_warm(bench: Bench):
    seen: list[dict[str, str]] = []

    def warm_up() -> None:
        time.sleep(0.2)
        seen.extend(bench.front.statuses().values())

    def judge(message: FrameArrived) -> Outcome:
        time.sleep(0.1)
        seen.extend(bench.front.statuses().values())
        return done(message)

    bench.fill(1)
    settings = DeliverySettings(beat_s=0.02, block_s=0.02)
    bench.drain(ScriptedStage(judge, warm_up=warm_up, describe=lambda: {"engine": "of glass"}), settings)

    assert [status.get("engine") for status in seen] == [None, "of glass"]


def test_hung_worker_loses_its_lease_and_its_late_result_changes_nothing(bench: Bench):
    ids = bench.fill(1)
    settings = DeliverySettings(beat_s=0.02, block_s=0.02, claim_idle_s=0.2)
    go_on = threading.Event()

    def hang(message: FrameArrived) -> Outcome:
        go_on.wait(10)
        return Done((Publication(OUT, "zombie", message),))

    stage, stop = ScriptedStage(hang), threading.Event()
    thread = threading.Thread(target=bench.runner(stage, settings).run, args=(stop,), daemon=True)
    thread.start()
    until(lambda: bool(stage.batches))
    started = time.monotonic()

    bench.drain(ScriptedStage(), settings)

    assert 0.1 < time.monotonic() - started < 5.0
    go_on.set()
    stop.set()
    thread.join()
    assert bench.out() == ids


def test_slow_suspects_keep_the_lease(bench: Bench):
    """Each single one is within the time, all together are not."""
    bench.fill(5)
    bench.abandon(5)
    settings = DeliverySettings(beat_s=0.05, block_s=0.02, claim_idle_s=0.4)

    def judge(message: FrameArrived) -> Outcome:
        time.sleep(0.2)
        return done(message)

    stage, rival = ScriptedStage(judge), ScriptedStage()
    other = threading.Thread(target=bench.drain, args=(rival, settings), daemon=True)
    first = threading.Thread(target=bench.drain, args=(stage, settings, 8), daemon=True)
    first.start()
    until(lambda: bool(stage.batches))
    other.start()
    first.join()
    other.join()

    assert len(stage.batches) == 5
    assert rival.batches == []


def test_failure_to_warm_up_is_the_callers(bench: Bench):
    def warm_up() -> None:
        raise CellvigilError("weights are refused", reason="weights")

    with pytest.raises(CellvigilError, match="refused"):
        bench.drain(ScriptedStage(warm_up=warm_up))
