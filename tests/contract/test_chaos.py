"""Workers killed at random on a server that is killed too: every frame once, none given up."""

import random
import subprocess
import sys
import time

import pytest
from cases.sample_messages import arrived
from live_server import LiveServer

from monitor.errors import BackPressure
from services.transport.codec import decode
from services.transport.redis_streams import RedisBus
from services.transport.stage import Publication
from services.transport.streams import DEAD, FLASK_EVENTS, FRAMES

FRAMES_IN, WORKERS, KILLS = 600, 3, 30
OUT = FLASK_EVENTS.stream()

WORKER = """
import sys, threading, time
from services.settings import DeliverySettings
from services.transport.redis_streams import RedisBus
from services.transport.runner import Runner
from services.transport.stage import Done, Publication

class Slow:
    name = "segmenter"
    def warm_up(self): ...
    def describe(self): return {}
    def prefetch(self, batch): ...
    def process(self, batch):
        time.sleep(0.02 * len(batch))
        return [Done((Publication("flask_events.0", f"out:{m.frame_id}", m),)) for m in batch]

settings = DeliverySettings(beat_s=0.2, block_s=0.1)
bus = RedisBus(sys.argv[1], "")
Runner(Slow(), bus, ["frames"], settings, batch_size=4, on_failure=print).run(threading.Event())
"""


def worker(server: LiveServer) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", WORKER, server.url], stdout=subprocess.DEVNULL)


def persist(bus: RedisBus, publications: list[Publication]) -> None:
    while True:
        try:
            bus.publish(publications)
            return
        except BackPressure:
            time.sleep(0.05)


@pytest.mark.slow
def test_no_frame_is_lost_doubled_or_given_up(own_server: LiveServer):
    chance = random.Random(3)
    bus = RedisBus(own_server.url, "", timeout_s=1.0)
    bus.subscribe([FRAMES.name], "segmenter", "front")
    messages = [arrived(number) for number in range(FRAMES_IN)]
    workers = [worker(own_server) for _ in range(WORKERS)]
    for kill in range(KILLS):
        share = messages[kill * FRAMES_IN // KILLS : (kill + 1) * FRAMES_IN // KILLS]
        persist(bus, [Publication(FRAMES.name, f"frame:{m.frame_id}", m) for m in share])
        time.sleep(chance.uniform(0.1, 2.0))
        victim = chance.randrange(WORKERS)
        workers[victim].kill()
        workers[victim].wait()
        workers[victim] = worker(own_server)
        if kill % 10 == 5:
            own_server.kill()
            own_server.start()
    deadline = time.monotonic() + 120
    while bus.waiting(FRAMES.name, "segmenter"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for process in workers:
        process.kill()
        process.wait()

    assert sorted(decode(p).frame_id for p in bus.history(OUT)) == sorted(m.frame_id for m in messages)
    assert list(bus.history(DEAD)) == []
    bus.close()
