"""The promises in `services/transport/bus.py`, held by every bus."""

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Protocol

import pytest
from cases.sample_messages import ESTIMATED, arrived
from live_server import LiveServer

from monitor.errors import BackPressure
from services.transport.bus import Bus
from services.transport.codec import decode, encode
from services.transport.memory import MemoryBus, MemoryQueue
from services.transport.redis_streams import RedisBus
from services.transport.stage import Publication
from services.transport.streams import ALARMS, DEAD, ESTIMATES, FLASK_EVENTS, FRAMES, partition_of

OUT = FLASK_EVENTS.stream()
PREFIXES = (f"test{number}:" for number in itertools.count())


def frame(number: int) -> Publication:
    message = arrived(number)
    return Publication(FRAMES.name, f"frame:{message.frame_id}", message)


def frames(count: int) -> list[Publication]:
    return [frame(number) for number in range(count)]


def result(number: int) -> Publication:
    return Publication(OUT, f"result:{number}", arrived(number))


class House(Protocol):
    """A queue and its consumers; time passes on command."""

    def bus(self, consumer: str, *streams: str) -> Bus: ...

    def let_pass(self, seconds: float) -> None: ...

    def wipe(self) -> None: ...


class MemoryHouse:
    def __init__(self) -> None:
        self.now = 1000.0
        self.queue = MemoryQueue(clock=lambda: self.now)

    def bus(self, consumer: str, *streams: str) -> Bus:
        bus = MemoryBus(self.queue)
        bus.subscribe(streams or (FRAMES.name,), "segmenter", consumer)
        return bus

    def let_pass(self, seconds: float) -> None:
        self.now += seconds

    def wipe(self) -> None:
        self.queue.wipe()

    def close(self) -> None: ...


class RedisHouse:
    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.prefix = next(PREFIXES)
        self.buses: list[RedisBus] = []

    def bus(self, consumer: str, *streams: str) -> Bus:
        bus = RedisBus(self.server.url, self.prefix)
        self.buses.append(bus)
        bus.subscribe(streams or (FRAMES.name,), "segmenter", consumer)
        return bus

    def let_pass(self, seconds: float) -> None:
        time.sleep(seconds)

    def wipe(self) -> None:
        keys = self.server.ask("KEYS", f"{self.prefix}*")
        self.server.ask("DEL", *keys)

    def close(self) -> None:
        for bus in self.buses:
            bus.close()


@pytest.fixture(params=["memory", "redis"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    if request.param == "memory":
        yield MemoryHouse()
        return
    redis_house = RedisHouse(request.getfixturevalue("shared_server"))
    yield redis_house
    redis_house.close()


def numbers(payloads: Iterator[bytes]) -> list[int]:
    ids = {arrived(number).frame_id: number for number in range(50)}
    return [ids[decode(payload).frame_id] for payload in payloads]


def test_what_is_published_is_read_in_order_as_it_was(house: House):
    bus = house.bus("a")

    assert bus.publish(frames(3)) == [True, True, True]
    deliveries = bus.read(10, 0.0)

    assert [d.payload for d in deliveries] == [encode(item.message) for item in frames(3)]
    assert [d.key for d in deliveries] == [item.key for item in frames(3)]
    assert {(d.stream, d.deliveries) for d in deliveries} == {(FRAMES.name, 1)}
    assert bus.read(10, 0.0) == []


def test_key_is_published_once(house: House):
    bus = house.bus("a")

    assert bus.publish([frame(0), frame(1), frame(0)]) == [True, True, False]
    for delivery in bus.read(10, 0.0):
        bus.settle(delivery, [])

    assert bus.publish([frame(0), frame(2)]) == [False, True]
    assert numbers(bus.history(FRAMES.name)) == [2]


def test_nothing_is_published_and_nothing_released(house: House):
    bus = house.bus("a")

    assert bus.publish([]) == []
    bus.release([])


def test_what_was_published_before_the_first_reader_is_delivered(house: House):
    house.bus("early", "elsewhere").publish(frames(2))

    assert len(house.bus("late").read(10, 0.0)) == 2


def test_subscribing_again_changes_nothing(house: House):
    bus = house.bus("a")
    bus.publish(frames(2))
    assert len(bus.read(1, 0.0)) == 1

    other = house.bus("b")

    assert len(other.read(10, 0.0)) == 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_read_returns_no_more_than_asked_over_all_streams(house: House, count: int):
    streams = FLASK_EVENTS.streams(4)
    bus = house.bus("a", *streams)
    bus.publish([Publication(s, f"{s}:{n}", arrived(n)) for s in streams for n in range(3)])

    sizes = []
    while batch := bus.read(count, 0.01):
        sizes.append(len(batch))

    assert sum(sizes) == 12
    assert max(sizes) == count


def test_read_waits_for_what_comes(house: House):
    bus, writer = house.bus("a"), house.bus("writer")
    assert bus.read(4, 0.02) == []

    later = threading.Timer(0.05, writer.publish, [frames(1)])
    later.start()
    found = bus.read(4, 5.0)
    later.join()

    assert len(found) == 1


def test_settling_publishes_the_outputs_and_removes_the_input(house: House):
    bus = house.bus("a")
    bus.publish(frames(2))
    first, _ = bus.read(10, 0.0)
    assert bus.waiting(FRAMES.name, "segmenter") == 2

    assert bus.settle(first, [result(0), result(7)])

    assert bus.waiting(FRAMES.name, "segmenter") == 1
    assert numbers(bus.history(OUT)) == [0, 7]


def test_settling_twice_changes_nothing(house: House):
    bus = house.bus("a")
    bus.publish(frames(1))
    (delivery,) = bus.read(10, 0.0)

    assert bus.settle(delivery, [result(0)])
    assert not bus.settle(delivery, [result(1)])

    assert numbers(bus.history(OUT)) == [0]


def test_settling_publishes_each_key_once(house: House):
    bus = house.bus("a")
    bus.publish(frames(2))
    first, second = bus.read(10, 0.0)

    assert bus.settle(first, [result(0)])
    assert bus.settle(second, [result(0), result(1)])

    assert numbers(bus.history(OUT)) == [0, 1]


def test_zombie_cannot_settle_what_another_settled(house: House):
    zombie, heir = house.bus("zombie"), house.bus("heir")
    zombie.publish(frames(1))
    (held,) = zombie.read(10, 0.0)
    (taken,) = heir.claim(10, 60.0)  # the zombie never beat

    assert taken.deliveries == 2
    assert heir.settle(taken, [result(0)])
    assert not zombie.settle(held, [result(1)])
    assert numbers(zombie.history(OUT)) == [0]


def test_living_consumers_keep_what_they_hold(house: House):
    holder, other = house.bus("holder"), house.bus("other")
    holder.publish(frames(2))
    holder.beat({}, 60.0)
    holder.read(10, 0.0)

    assert other.claim(10, 60.0) == []


def test_consumer_without_heartbeat_loses_what_it_holds_at_once(house: House):
    holder, other = house.bus("holder"), house.bus("other")
    holder.publish(frames(3))
    holder.beat({}, 0.05)
    holder.read(10, 0.0)
    house.let_pass(0.1)

    assert len(other.claim(2, 60.0)) == 2
    assert len(other.claim(2, 60.0)) == 1
    assert other.claim(2, 60.0) == []


def test_idle_entries_are_taken_from_a_living_consumer(house: House):
    holder, other = house.bus("holder"), house.bus("other")
    holder.publish(frames(1))
    holder.read(10, 0.0)
    holder.beat({}, 60.0)
    house.let_pass(0.1)

    assert len(other.claim(10, 0.05)) == 1


def test_beating_renews_the_hold_on_entries_and_does_not_count_as_delivery(house: House):
    holder, other = house.bus("holder"), house.bus("other")
    holder.publish(frames(1))
    holder.read(10, 0.0)
    for _ in range(3):
        house.let_pass(0.15)
        holder.beat({}, 60.0)

    assert other.claim(10, 0.3) == []
    house.let_pass(0.4)
    assert [d.deliveries for d in other.claim(10, 0.3)] == [2]


def test_beating_takes_nothing_back(house: House):
    holder, other, third = house.bus("holder"), house.bus("other"), house.bus("third")
    holder.publish(frames(1))
    holder.read(10, 0.0)
    other.claim(10, 60.0)

    holder.beat({}, 60.0)

    assert len(third.claim(10, 60.0)) == 1, "the entry belongs to `other`, who does not beat"


def test_released_entries_are_claimed_at_once_and_count_as_never_delivered(house: House):
    holder, other = house.bus("holder"), house.bus("other")
    holder.publish(frames(2))
    holder.beat({}, 60.0)
    kept, given_back = holder.read(10, 0.0)

    holder.release([given_back])

    (taken,) = other.claim(10, 60.0)
    assert (taken.key, taken.deliveries) == (given_back.key, 1)
    assert holder.settle(kept, [])


def test_releasing_what_another_took_over_changes_nothing(house: House):
    holder, other, third = house.bus("holder"), house.bus("other"), house.bus("third")
    holder.publish(frames(1))
    held = holder.read(10, 0.0)
    other.beat({}, 60.0)
    (taken,) = other.claim(10, 60.0)

    holder.release(held)

    assert third.claim(10, 60.0) == []
    assert other.settle(taken, [])


def test_deliveries_count_hand_overs(house: House):
    first = house.bus("0")
    first.publish(frames(1))
    counts = [first.read(1, 0.0)[0].deliveries]
    for number in range(1, 4):
        counts += [delivery.deliveries for delivery in house.bus(str(number)).claim(1, 60.0)]

    assert counts == [1, 2, 3, 4]


def test_strikes_count_per_entry_and_end_with_it(house: House):
    bus = house.bus("a")
    bus.publish(frames(2))
    first, second = bus.read(10, 0.0)

    assert [bus.strike(first), bus.strike(first), bus.strike(second)] == [1, 2, 1]
    assert house.bus("b").strike(first) == 3
    bus.settle(first, [])
    assert bus.strike(second) == 2


def test_consumers_that_beat_tell_their_status(house: House):
    one, two = house.bus("one"), house.bus("two")
    one.beat({"state": "warming"}, 60.0)
    two.beat({"done": "7"}, 0.5)

    assert one.statuses() == {"segmenter/one": {"state": "warming"}, "segmenter/two": {"state": "running", "done": "7"}}
    house.let_pass(0.6)
    assert list(one.statuses()) == ["segmenter/one"]


def test_wiped_queue_has_no_epoch_and_goes_on(house: House):
    bus = house.bus("a")
    assert bus.epoch() is None
    mark = bus.begin_epoch()
    assert bus.epoch() == mark
    bus.publish(frames(2))
    held = bus.read(1, 0.0)

    house.wipe()

    assert bus.epoch() is None
    assert not bus.settle(held[0], [result(0)])
    bus.beat({}, 60.0)
    assert bus.claim(10, 60.0) == []
    assert bus.read(10, 0.0) == []
    assert bus.publish(frames(2)) == [True, True], "the markers went with the entries"
    assert len(bus.read(10, 0.0)) == 2
    assert bus.begin_epoch() != mark


def test_history_is_whole_however_long(house: House):
    bus = house.bus("a", DEAD)
    bus.publish([Publication(DEAD, str(number), arrived(number % 50)) for number in range(1203)])

    assert numbers(bus.history(DEAD)) == [number % 50 for number in range(1203)]


def test_only_streams_that_nobody_works_off_are_capped(house: House, monkeypatch: pytest.MonkeyPatch):
    from services.transport import streams

    assert set(streams.CAPPED) == {ESTIMATES}
    monkeypatch.setitem(streams.CAPPED, ESTIMATES, 100)
    bus = house.bus("a")
    bus.publish([Publication(ESTIMATES, str(number), ESTIMATED) for number in range(500)])
    bus.publish([Publication(ALARMS.name, f"a{number}", ESTIMATED) for number in range(500)])

    assert 100 <= bus.waiting(ESTIMATES, "nobody") < 300
    assert bus.waiting(ALARMS.name, "notifier") == 500


def test_two_installations_on_one_server_never_meet(shared_server: LiveServer):
    here, there = RedisHouse(shared_server), RedisHouse(shared_server)
    here.bus("a").publish(frames(1))

    assert there.bus("a").read(10, 0.0) == []
    assert there.bus("b").publish(frames(1)) == [True]
    here.close()
    there.close()


def test_full_memory_queue_refuses_and_goes_on():
    queue = MemoryQueue(capacity=2)
    bus = MemoryBus(queue)
    bus.subscribe([FRAMES.name], "segmenter", "a")
    with pytest.raises(BackPressure):
        bus.publish(frames(3))

    bus.settle(bus.read(1, 0.0)[0], [])

    assert bus.publish(frames(3)) == [False, False, True]


def test_partitions_stay_where_they_are():
    assert [partition_of(flask, 4) for flask in ("A1", "A2", "B1", "flask 7", "\udcff")] == [1, 3, 2, 3, 3]
    assert {partition_of(f"F{number}", 8) for number in range(100)} == set(range(8))


def test_letters_are_read_behind_one_another(house: House):
    bus = house.bus("looker", DEAD)
    bus.publish([Publication(DEAD, f"dead:{number}", arrived(number)) for number in range(5)])

    first = bus.letters(DEAD, "", 3)
    rest = bus.letters(DEAD, first[-1].entry_id, 10)

    assert [decode(letter.payload) for letter in first + rest] == [arrived(number) for number in range(5)]
    assert [letter.key for letter in rest] == ["dead:3", "dead:4"]
    assert bus.waiting(DEAD, "segmenter") == 5


def test_a_letter_is_put_back_once_and_may_become_one_again(house: House):
    bus = house.bus("looker")
    bus.publish([frame(1), Publication(DEAD, "dead:1", arrived(1))])
    (before,) = bus.read(1, 0.0)
    bus.settle(before, [])
    (dead,) = bus.letters(DEAD, "", 10)

    assert bus.put_back(dead, FRAMES.name, before.key, before.payload)
    assert not bus.put_back(dead, FRAMES.name, before.key, before.payload)

    (again,) = bus.read(5, 0.0)
    assert (again.key, again.payload, again.deliveries) == (before.key, before.payload, 1)
    assert bus.publish([frame(1), Publication(DEAD, "dead:1", arrived(1))]) == [False, True]
