"""What the bus on Redis does when the server stalls, dies, fills up or forgets."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
import redis
from cases.sample_messages import arrived
from live_server import LiveServer

from monitor.errors import BackPressure
from services.transport.redis_streams import RedisBus
from services.transport.stage import Publication
from services.transport.streams import FLASK_EVENTS, FRAMES

OUT = FLASK_EVENTS.stream()


def frames(count: int) -> list[Publication]:
    return [Publication(FRAMES.name, f"frame:{number}", arrived(number)) for number in range(count)]


def result(number: int) -> Publication:
    return Publication(OUT, f"result:{number}", arrived(number))


@pytest.fixture
def bus(own_server: LiveServer) -> Iterator[RedisBus]:
    bus = RedisBus(own_server.url, "", timeout_s=0.5)
    bus.subscribe([FRAMES.name], "segmenter", "worker")
    yield bus
    bus.close()


def test_publication_that_a_stalled_server_answers_late_is_not_doubled(bus: RedisBus, own_server: LiveServer):
    assert bus.publish(frames(1)) == [True]
    own_server.stall()
    with pytest.raises(BackPressure):
        bus.publish(frames(3))  # the server has the command in its buffer and will run it
    with pytest.raises(BackPressure):
        bus.publish(frames(3))
    own_server.go_on()

    assert bus.publish(frames(3)) == [False, False, False]
    assert own_server.entries(FRAMES.name) == 3


def test_result_that_a_stalled_server_answers_late_is_not_doubled(bus: RedisBus, own_server: LiveServer):
    bus.publish(frames(1))
    (delivery,) = bus.read(1, 0.0)
    own_server.stall()
    with pytest.raises(BackPressure):
        bus.settle(delivery, [result(0)])
    own_server.go_on()

    bus.settle(delivery, [result(0)])

    assert own_server.entries(OUT) == 1
    assert own_server.entries(FRAMES.name) == 0


def test_entries_whose_delivery_was_lost_on_the_way_are_found_again(bus: RedisBus, own_server: LiveServer):
    """Nobody else may take them, for this consumer lives and beats."""
    bus.publish(frames(5))
    bus.beat({}, 60.0)
    kept = bus.read(1, 0.0)
    own_server.stall()
    with pytest.raises(BackPressure):
        bus.read(2, 0.0)
    own_server.go_on()
    time.sleep(0.1)
    assert own_server.ask("XPENDING", FRAMES.name, "segmenter")["pending"] == 3

    found = bus.claim(10, 60.0)

    assert [d.key for d in found] == ["frame:1", "frame:2"]
    assert [d.deliveries for d in found] == [1, 1], "a delivery that did not arrive makes nobody a suspect"
    assert bus.claim(10, 60.0) == []
    assert all(bus.settle(d, []) for d in kept + found)


def test_server_that_is_away_is_back_pressure_whatever_is_asked(bus: RedisBus, own_server: LiveServer):
    bus.publish(frames(2))
    (delivery,) = bus.read(1, 0.0)
    own_server.kill()
    questions = [
        lambda: bus.publish(frames(3)),
        lambda: bus.read(1, 0.0),
        lambda: bus.claim(1, 1.0),
        lambda: bus.settle(delivery, []),
        lambda: bus.release([delivery]),
        lambda: bus.strike(delivery),
        lambda: bus.beat({}, 1.0),
        lambda: bus.waiting(FRAMES.name, "segmenter"),
        lambda: list(bus.history(FRAMES.name)),
        lambda: bus.statuses(),
        lambda: bus.epoch(),
        lambda: bus.begin_epoch(),
        lambda: bus.subscribe([FRAMES.name], "segmenter", "worker"),
    ]
    for question in questions:
        with pytest.raises(BackPressure):
            question()


def test_killed_server_comes_back_with_everything_acknowledged(bus: RedisBus, own_server: LiveServer):
    assert bus.publish(frames(50)) == [True] * 50
    mark = bus.begin_epoch()
    first, second, *_ = bus.read(10, 0.0)
    assert bus.settle(first, [result(0)])

    own_server.kill()
    own_server.start()

    assert bus.epoch() == mark
    assert not bus.settle(first, [result(0)])
    assert bus.settle(second, [result(1)])
    assert bus.waiting(FRAMES.name, "segmenter") == 48
    assert own_server.entries(OUT) == 2
    assert len(bus.read(100, 0.0)) == 40
    assert bus.publish(frames(51)) == [False] * 50 + [True]


def test_flushed_server_is_noticed_and_used_again(bus: RedisBus, own_server: LiveServer):
    bus.publish(frames(3))
    bus.begin_epoch()
    (delivery,) = bus.read(1, 0.0)

    own_server.ask("FLUSHALL")
    own_server.ask("SCRIPT", "FLUSH")

    assert bus.epoch() is None
    assert not bus.settle(delivery, [result(0)])
    assert bus.publish(frames(3)) == [True] * 3
    assert len(bus.read(10, 0.0)) == 3


def test_full_server_admits_nothing_and_lets_workers_finish(bus: RedisBus, own_server: LiveServer):
    bus.publish(frames(20))
    bus.beat({}, 60.0)
    bus.read(1, 0.0)
    own_server.ask("CONFIG", "SET", "maxmemory", 1)

    with pytest.raises(BackPressure):
        bus.publish([result(99)])
    with pytest.raises(BackPressure):
        bus.begin_epoch()
    bus.beat({"state": "still here"}, 60.0)
    assert bus.statuses()["segmenter/worker"]["state"] == "still here"
    deliveries = bus.read(10, 0.0)
    assert [bus.strike(d) for d in deliveries[:2]] == [1, 1]
    assert all(bus.settle(d, [result(n)]) for n, d in enumerate(deliveries))
    assert own_server.entries(OUT) == 10

    own_server.ask("CONFIG", "SET", "maxmemory", 0)
    assert bus.publish([result(99)]) == [True]


def test_mistakes_are_not_taken_for_a_full_queue(bus: RedisBus, own_server: LiveServer):
    own_server.ask("SET", ALIEN := "flask_events.9", "not a stream")

    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        bus.publish([Publication(ALIEN, "k", arrived())])


def test_refused_output_leaves_the_input_pending(bus: RedisBus, own_server: LiveServer):
    bus.publish(frames(1))
    (delivery,) = bus.read(1, 0.0)
    own_server.ask("SET", OUT, "not a stream")
    with pytest.raises(redis.ResponseError):
        bus.settle(delivery, [result(0)])

    own_server.ask("DEL", OUT)

    assert bus.settle(delivery, [result(0)])
    assert own_server.entries(OUT) == 1


def test_strike_against_what_another_settled_meanwhile_is_forgotten(bus: RedisBus, own_server: LiveServer):
    heir = RedisBus(own_server.url, "")
    heir.subscribe([FRAMES.name], "segmenter", "heir")
    bus.publish(frames(1))
    (held,) = bus.read(1, 0.0)
    (taken,) = heir.claim(1, 60.0)
    assert heir.settle(taken, [])

    assert bus.strike(held) == 1
    assert not bus.settle(held, [])

    assert own_server.ask("KEYS", "strikes:*") == []
    heir.close()


def test_two_that_claim_at_once_share(own_server: LiveServer):
    buses = [RedisBus(own_server.url, "") for _ in range(4)]
    dead, *claimers = buses
    for name, one in zip("dabc", buses, strict=True):
        one.subscribe([FRAMES.name], "segmenter", name)
        if one is not dead:
            one.beat({}, 60.0)
    dead.publish(frames(200))
    dead.read(200, 0.0)
    taken: list[str] = []

    def claim(one: RedisBus) -> None:
        while found := one.claim(7, 60.0):
            taken.extend(d.entry_id for d in found)

    threads = [threading.Thread(target=claim, args=(one,)) for one in claimers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == len(set(taken)) == 200
    for one in buses:
        one.close()


def test_dead_entries_behind_many_living_ones_are_found(own_server: LiveServer):
    living, dead, heir = (RedisBus(own_server.url, "") for _ in range(3))
    for name, one in (("living", living), ("dead", dead), ("heir", heir)):
        one.subscribe([FRAMES.name], "segmenter", name)
    living.publish(frames(301))
    living.beat({}, 60.0)
    living.read(300, 0.0)
    dead.read(1, 0.0)

    assert [d.key for d in heir.claim(8, 60.0)] == ["frame:300"]
    for one in (living, dead, heir):
        one.close()


def test_forgotten_consumers_are_removed_once_they_hold_nothing(bus: RedisBus, own_server: LiveServer):
    gone = RedisBus(own_server.url, "")
    gone.subscribe([FRAMES.name], "segmenter", "gone")
    gone.publish(frames(3))
    gone.read(3, 0.0)
    names = lambda: {c[1] for c in own_server.ask("XINFO", "CONSUMERS", FRAMES.name, "segmenter")}  # noqa: E731

    assert len(bus.claim(2, 60.0)) == 2
    assert b"gone" in names()
    assert len(bus.claim(2, 60.0)) == 1
    assert names() == {b"worker"}
    gone.close()


def hold_and_wait(url: str, ready: "multiprocessing.synchronize.Event") -> None:
    bus = RedisBus(url, "")
    bus.subscribe([FRAMES.name], "segmenter", "victim")
    bus.beat({}, 2.0)
    bus.read(5, 0.0)
    ready.set()
    signal.pause()


def test_killed_consumer_loses_what_it_holds_with_its_heartbeat(bus: RedisBus, own_server: LiveServer):
    bus.publish(frames(5))
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    victim = spawn.Process(target=hold_and_wait, args=(own_server.url, ready))
    victim.start()
    assert ready.wait(30)
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    assert bus.claim(10, 60.0) == [], "its heartbeat has not run out yet"

    time.sleep(2.1)
    found = bus.claim(10, 60.0)

    assert len(found) == 5
    assert {d.deliveries for d in found} == {2}
    victim.close()


def test_address_on_the_loopback_network_works(own_server: LiveServer):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own_server.ask("CONFIG", "SET", "port", port)
    bus = RedisBus(f"redis://127.0.0.1:{port}/0", "x:")
    bus.subscribe([FRAMES.name], "segmenter", "a")

    assert bus.publish(frames(1)) == [True]
    assert len(bus.read(1, 0.5)) == 1
    bus.close()
