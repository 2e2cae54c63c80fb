"""The consume loop as a process on a real server: signals, kills, and a server that goes away."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from cases.sample_messages import arrived
from live_server import LiveServer

from monitor.errors import BackPressure
from monitor.messages import FrameArrived
from services.settings import DeliverySettings
from services.transport.backoff import FIRST_S, MOST_S, Backoff
from services.transport.codec import decode
from services.transport.redis_streams import RedisBus
from services.transport.runner import EXIT_OK, Runner
from services.transport.stage import Done, Outcome, Publication
from services.transport.streams import FLASK_EVENTS, FRAMES

OUT = FLASK_EVENTS.stream()
FAST = DeliverySettings(beat_s=0.1, block_s=0.05)

WORKER = """
import sys, threading, time
from services.settings import DeliverySettings
from services.transport.redis_streams import RedisBus
from services.transport.runner import Runner
from services.transport.signals import install_signals
from services.transport.stage import Done, Publication

class Slow:
    name = "segmenter"
    def warm_up(self):
        print("warming", flush=True)
        time.sleep(float(sys.argv[3]))
    def describe(self): return {}
    def prefetch(self, batch): ...
    def process(self, batch):
        print("working", flush=True)
        time.sleep(float(sys.argv[2]))
        return [Done((Publication("flask_events.0", f"out:{m.frame_id}", m),)) for m in batch]

stop = threading.Event()
install_signals(stop)
bus = RedisBus(sys.argv[1], "")
settings = DeliverySettings(beat_s=0.1, block_s=0.05)
code = Runner(Slow(), bus, ["frames"], settings, batch_size=4, on_failure=print).run(stop)
bus.close()
sys.exit(code)
"""


class SteadyStage:
    name = "segmenter"

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self.done = 0

    def warm_up(self) -> None: ...

    def describe(self) -> dict[str, str]:
        return {}

    def prefetch(self, batch: Sequence[FrameArrived]) -> None: ...

    def process(self, batch: Sequence[FrameArrived]) -> list[Outcome]:
        time.sleep(self._seconds)
        self.done += len(batch)
        return [Done((Publication(OUT, f"out:{m.frame_id}", m),)) for m in batch]


@pytest.fixture
def server() -> Iterator[LiveServer]:
    server = LiveServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def front(server: LiveServer) -> Iterator[RedisBus]:
    bus = RedisBus(server.url, "")
    bus.subscribe([FRAMES.name], "segmenter", "front")
    yield bus
    bus.close()


def publish(bus: RedisBus, count: int) -> list[str]:
    messages = [arrived(number) for number in range(count)]
    bus.publish([Publication(FRAMES.name, f"frame:{m.frame_id}", m) for m in messages])
    return sorted(m.frame_id for m in messages)


def results(bus: RedisBus) -> list[str]:
    return sorted(decode(payload).frame_id for payload in bus.history(OUT))


def worker(server: LiveServer, seconds: float, warming_s: float = 0.0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WORKER, server.url, str(seconds), str(warming_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def until_working(process: "subprocess.Popen[str]") -> None:
    while "working" not in process.stdout.readline():
        assert process.poll() is None


def drain(server: LiveServer) -> int:
    bus = RedisBus(server.url, "")
    runner = Runner(SteadyStage(), bus, [FRAMES.name], FAST, batch_size=4, on_failure=lambda failure: None)
    code = runner.run(threading.Event(), drain=True)
    bus.close()
    return code


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_finishes_the_batch_and_gives_the_read_ahead_back(
    server: LiveServer, front: RedisBus, number: signal.Signals
):
    publish(front, 20)
    with worker(server, 0.4) as process:
        until_working(process)
        process.send_signal(number)
        assert process.wait(10) == EXIT_OK

    assert len(results(front)) == 4
    assert front.statuses() == {}
    taken = front.claim(20, 60.0)
    assert [delivery.deliveries for delivery in taken] == [1] * 4, "what was read ahead counts as never delivered"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_warms_up_ends_the_process_and_nothing_is_taken(
    server: LiveServer, front: RedisBus, number: signal.Signals
):
    frames = publish(front, 4)
    with worker(server, 0.0, warming_s=60.0) as process:
        assert "warming" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(10) == -number

    assert drain(server) == EXIT_OK
    assert results(front) == sorted(frames)


def test_a_signal_before_the_warm_up_spares_it(server: LiveServer, front: RedisBus):
    stage = SteadyStage()
    stage.warm_up = lambda: pytest.fail("it was warmed up")
    stop = threading.Event()
    stop.set()
    bus = RedisBus(server.url, "")
    runner = Runner(stage, bus, [FRAMES.name], FAST, batch_size=4, on_failure=lambda failure: None)
    assert runner.run(stop) == EXIT_OK
    bus.close()


def test_second_signal_ends_the_process_at_once(server: LiveServer, front: RedisBus):
    publish(front, 4)
    with worker(server, 30.0) as process:
        until_working(process)
        process.terminate()
        time.sleep(0.2)
        assert process.poll() is None
        process.terminate()
        assert process.wait(5) == 128 + signal.SIGTERM


def test_killed_worker_is_replaced_without_loss_or_doubles(server: LiveServer, front: RedisBus):
    ids = publish(front, 40)
    for _ in range(3):
        with worker(server, 0.05) as process:
            until_working(process)
            time.sleep(0.1)
            process.kill()

    assert drain(server) == EXIT_OK

    assert results(front) == ids


def test_runner_outlasts_a_server_that_is_killed_wiped_and_full(server: LiveServer, front: RedisBus):
    ids = publish(front, 50)
    stage, stop = SteadyStage(0.05), threading.Event()
    bus = RedisBus(server.url, "", timeout_s=1.0)
    runner = Runner(stage, bus, [FRAMES.name], FAST, batch_size=2, on_failure=lambda failure: None)
    thread = threading.Thread(target=runner.run, args=(stop,), daemon=True)
    thread.start()
    until(lambda: stage.done >= 4)

    server.kill()
    time.sleep(0.3)
    server.start()
    before = stage.done
    until(lambda: stage.done > before + 4)

    server.ask("CONFIG", "SET", "maxmemory", 1)
    before = stage.done
    until(lambda: stage.done > before + 4)
    server.ask("CONFIG", "SET", "maxmemory", 0)

    server.ask("FLUSHALL")
    publish(front, 50)  # the ingester finds no epoch and queues everything again
    until(lambda: results(front) == ids)

    until(lambda: front.waiting(FRAMES.name, "segmenter") == 0)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    bus.close()


class Diary:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, event: str, **values: object) -> None:
        self.lines.append(event)

    info = warning


def test_waiting_grows_and_is_told_once(monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda seconds: bool(pauses.append(seconds)))
    diary, moves = Diary(), []
    backoff = Backoff(diary, stop, lambda: moves.append(1))
    refusals = iter([BackPressure("full")] * 12 + [None] + [BackPressure("full")] + [None])

    def call() -> str:
        if error := next(refusals):
            raise error
        return "done"

    assert backoff.persist(call) == backoff.persist(call) == "done"

    assert diary.lines == ["back_pressure", "back_pressure_over"] * 2
    assert FIRST_S / 2 <= pauses[0] <= FIRST_S
    assert MOST_S / 2 <= pauses[11] <= MOST_S
    assert pauses[12] <= FIRST_S
    assert len(moves) == 13


def test_waiting_ends_with_the_stop():
    stop = threading.Event()
    stop.set()

    def call() -> None:
        raise BackPressure("full")

    assert Backoff(Diary(), stop, lambda: None).persist(call) is None
