"""A read that waits while the server forgets everything or turns the reader away; Redis 7.0 and later differ in it."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from cases.sample_messages import arrived
from live_server import LiveServer

from services.transport.redis_streams import RedisBus
from services.transport.stage import Publication
from services.transport.streams import FLASK_EVENTS, FRAMES


@pytest.fixture
def bus(own_server: LiveServer) -> Iterator[RedisBus]:
    bus = RedisBus(own_server.url, "")
    bus.subscribe([FRAMES.name, FLASK_EVENTS.stream()], "segmenter", "worker")
    yield bus
    bus.close()


def waiting_reader(server: LiveServer) -> int:
    deadline = time.monotonic() + 5
    while True:
        for client in server.ask("CLIENT LIST"):
            if client["cmd"] == "xreadgroup" and "b" in client["flags"]:
                return int(client["id"])
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "trouble",
    [
        lambda server: server.ask("FLUSHALL"),
        lambda server: server.ask("XGROUP", "DESTROY", FRAMES.name, "segmenter"),
        # what Redis 7.0 answers a waiting reader whose stream was deleted, provoked on every version
        lambda server: server.ask("CLIENT", "UNBLOCK", waiting_reader(server), "ERROR"),
    ],
    ids=["flushed", "group_destroyed", "turned_away"],
)
def test_reader_that_waits_goes_on_reading(
    bus: RedisBus, own_server: LiveServer, trouble: Callable[[LiveServer], object]
):
    found: list[str] = []

    def read() -> None:
        while not found:
            found.extend(delivery.key for delivery in bus.read(4, 2.0))

    reader = threading.Thread(target=read)
    reader.start()
    waiting_reader(own_server)
    trouble(own_server)
    writer = RedisBus(own_server.url, "")
    writer.publish([Publication(FRAMES.name, "frame:0", arrived())])
    reader.join(10)
    writer.close()

    assert found == ["frame:0"]
