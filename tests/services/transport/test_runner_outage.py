"""What lies outside fails for everybody at once; then the frames are not at fault, and none is given up."""

import errno
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from cases.sample_messages import arrived
from structlog.testing import capture_logs

from monitor.errors import FrameNotReady
from monitor.messages import FrameArrived, FrameFailed
from services.settings import DeliverySettings
from services.transport import runner as runner_module
from services.transport.codec import decode
from services.transport.memory import MemoryBus, MemoryQueue
from services.transport.runner import EXIT_OK, Runner
from services.transport.stage import Done, Outcome, Publication, Retry
from services.transport.streams import DEAD, FRAMES

FAST = DeliverySettings(beat_s=0.05, block_s=0.01, claim_idle_s=5.0)
TRIES = 4


class OutwardStage:
    """Needs something outside; `fails` says for which frames it is away."""

    name = "segmenter"

    def __init__(self, fails: Callable[[str], bool], *, raises: bool = False) -> None:
        self.fails = fails
        self.raises = raises
        self.tries: dict[str, int] = {}

    def warm_up(self) -> None: ...

    def describe(self) -> dict[str, str]:
        return {}

    def prefetch(self, batch: Sequence[FrameArrived]) -> None: ...

    def process(self, batch: Sequence[FrameArrived]) -> list[Outcome]:
        return [self._one(message.frame_id) for message in batch]

    def _one(self, frame_id: str) -> Outcome:
        self.tries[frame_id] = self.tries.get(frame_id, 0) + 1
        if not self.fails(frame_id):
            return Done()
        if self.raises:
            raise OSError(errno.ENOSPC, "No space left on device")
        return Retry(FrameNotReady("the share is away", reason="unreadable"))


class Bench:
    def __init__(self) -> None:
        self.queue = MemoryQueue()
        self.front = MemoryBus(self.queue)
        self.front.subscribe([FRAMES.name], "segmenter", "front")
        self.failures: list[FrameFailed] = []

    def fill(self, first: int, count: int) -> list[str]:
        messages = [arrived(number) for number in range(first, first + count)]
        self.front.publish([Publication(FRAMES.name, f"frame:{m.frame_id}", m) for m in messages])
        return [message.frame_id for message in messages]

    def start(self, stage: OutwardStage, stop: threading.Event) -> threading.Thread:
        runner = Runner(
            stage, MemoryBus(self.queue), [FRAMES.name], FAST, batch_size=4, on_failure=self.failures.append
        )
        thread = threading.Thread(target=runner.run, args=(stop,), daemon=True)
        thread.start()
        return thread

    def left(self) -> int:
        return self.front.waiting(FRAMES.name, "segmenter")

    def dead(self) -> list[str]:
        return [decode(payload).frame_id for payload in self.front.history(DEAD)]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(runner_module, "RETRY_PAUSES_S", (0.01,) * TRIES)
    with capture_logs():  # the default log draws a picture of every traceback, half a second each
        yield Bench()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("raises", [False, True], ids=["asks_again", "raises"])
def test_outage_longer_than_all_tries_costs_no_frame(bench: Bench, raises: bool):
    ids = bench.fill(0, 20)
    away, stop = threading.Event(), threading.Event()
    away.set()
    stage = OutwardStage(lambda frame_id: away.is_set(), raises=raises)
    worker = bench.start(stage, stop)
    until(lambda: len(stage.tries) == 20 and min(stage.tries.values()) > 3 * TRIES)
    assert bench.left() == 20

    away.clear()
    until(lambda: bench.left() == 0)
    stop.set()
    worker.join()

    assert sorted(stage.tries) == sorted(ids)
    assert bench.dead() == []
    assert bench.failures == []


def test_frames_that_fail_while_others_get_through_are_given_up(bench: Bench):
    bad = set(bench.fill(0, 6))
    good = bench.fill(6, 1)
    stop = threading.Event()
    stage = OutwardStage(lambda frame_id: frame_id in bad)
    worker = bench.start(stage, stop)
    until(lambda: good[0] in stage.tries)
    number = 7
    deadline = time.monotonic() + 10
    while bench.left() > 0:
        assert time.monotonic() < deadline
        bench.fill(number, 1)
        number += 1
        time.sleep(0.02)
    stop.set()
    worker.join()

    assert sorted(bench.dead()) == sorted(bad)


def test_bad_frames_at_the_head_do_not_shut_the_others_out(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner_module, "MOST_RETRIES", 8)
    monkeypatch.setattr(runner_module, "PROBE_S", 0.05)
    bad = set(bench.fill(0, 30))
    good = bench.fill(30, 10)
    stop = threading.Event()
    stage = OutwardStage(lambda frame_id: frame_id in bad)
    worker = bench.start(stage, stop)

    until(lambda: set(good) <= set(stage.tries))
    stop.set()
    worker.join()

    assert not set(bench.dead()) & set(good)


def test_drain_ends_although_nothing_gets_through(bench: Bench):
    ids = bench.fill(0, 8)
    stage = OutwardStage(lambda frame_id: True)
    runner = Runner(stage, MemoryBus(bench.queue), [FRAMES.name], FAST, batch_size=4, on_failure=bench.failures.append)

    assert runner.run(threading.Event(), drain=True) == EXIT_OK

    assert sorted(bench.dead()) == sorted(ids)
