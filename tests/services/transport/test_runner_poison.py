"""A frame that kills whoever reads it, on a real server with real deaths."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence

import pytest
from cases.sample_messages import arrived
from live_server import LiveServer

from monitor.messages import FrameArrived, FrameFailed
from services.settings import DeliverySettings
from services.transport.codec import decode
from services.transport.redis_streams import RedisBus
from services.transport.runner import Runner
from services.transport.stage import Done, Outcome, Publication
from services.transport.streams import DEAD, FLASK_EVENTS, FRAMES

FRAMES_IN = 40
POISON = arrived(11).frame_id
OUT = FLASK_EVENTS.stream()
FAST = DeliverySettings(beat_s=0.1, block_s=0.05, max_solo_attempts=2)


class FrailStage:
    """Dies where a decoder would: in the thread that reads, whether ahead or in its turn."""

    name = "segmenter"

    def warm_up(self) -> None: ...

    def describe(self) -> dict[str, str]:
        return {}

    def prefetch(self, batch: Sequence[FrameArrived]) -> None:
        if any(message.frame_id == POISON for message in batch):
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGKILL)).start()

    def process(self, batch: Sequence[FrameArrived]) -> list[Outcome]:
        self.prefetch(batch)
        threading.Event().wait(0.02)
        return [Done((Publication(OUT, f"out:{message.frame_id}", message),)) for message in batch]


class NotingStage(FrailStage):
    """Survives, and notes what it was told to read ahead."""

    def __init__(self) -> None:
        self.hinted: set[str] = set()

    def prefetch(self, batch: Sequence[FrameArrived]) -> None:
        self.hinted |= {message.frame_id for message in batch}

    def process(self, batch: Sequence[FrameArrived]) -> list[Outcome]:
        threading.Event().wait(1.5 * FAST.beat_s)  # so that the next fetch claims what dead workers left
        return [Done() for _ in batch]


def work(url: str) -> None:
    bus = RedisBus(url, "")
    Runner(FrailStage(), bus, [FRAMES.name], FAST, batch_size=4, on_failure=lambda failure: None).run(
        threading.Event(), drain=True
    )


@pytest.fixture
def server() -> Iterator[LiveServer]:
    server = LiveServer()
    server.start()
    yield server
    server.close()


def filled(server: LiveServer) -> RedisBus:
    bus = RedisBus(server.url, "")
    bus.subscribe([FRAMES.name], "segmenter", "front")
    messages = [arrived(number) for number in range(FRAMES_IN)]
    bus.publish([Publication(FRAMES.name, f"frame:{m.frame_id}", m) for m in messages])
    return bus


def test_suspects_are_never_read_ahead(server: LiveServer):
    front = filled(server)
    held = front.read(12, 0.0)  # by a consumer that never beats: as good as dead
    stage = NotingStage()
    worker = RedisBus(server.url, "")

    Runner(stage, worker, [FRAMES.name], FAST, batch_size=4, on_failure=lambda failure: None).run(
        threading.Event(), drain=True
    )

    suspects = {decode(delivery.payload).frame_id for delivery in held}
    assert stage.hinted
    assert not stage.hinted & suspects
    for bus in (front, worker):
        bus.close()


def test_frame_that_kills_while_it_is_read_ahead_goes_alone_and_its_mates_complete(server: LiveServer):
    front = filled(server)
    spawn = multiprocessing.get_context("spawn")
    codes: list[int | None] = []
    while 0 not in codes and len(codes) < 12:
        worker = spawn.Process(target=work, args=(server.url,))
        worker.start()
        worker.join(60)
        codes.append(worker.exitcode)
        worker.close()

    assert codes == [-signal.SIGKILL] * (1 + FAST.max_solo_attempts) + [0]
    done = [decode(payload).frame_id for payload in front.history(OUT)]
    assert sorted(done) == sorted(arrived(n).frame_id for n in range(FRAMES_IN) if n != 11)
    (failure,) = [decode(payload) for payload in front.history(DEAD)]
    assert isinstance(failure, FrameFailed)
    assert (failure.frame_id, failure.reason) == (POISON, "crashed_worker")
    front.close()
