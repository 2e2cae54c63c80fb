"""The bus within one process: the same promises without a server, for tests and for trying a stage out."""

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from monitor.errors import BackPressure
from services.transport.bus import Delivery, StreamEntry
from services.transport.codec import encode
from services.transport.stage import Publication
from services.transport.streams import CAPPED, DEAD


@dataclass(slots=True)
class _Entry:
    key: str
    payload: bytes
    owner: str | None = None
    deliveries: int = 0
    delivered_at: float = 0.0
    strikes: int = 0


@dataclass(slots=True)
class _Beat:
    until: float
    status: dict[str, str] = field(default_factory=dict)


class MemoryQueue:
    """What the buses of one process share; takes the server's place.

    Parameters
    ----------
    clock
        Seconds, for idle times and heartbeats; a test hands in its own to let time pass.
    capacity
        Number of entries in all streams together from which `publish` meets `BackPressure`; None is unlimited.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, capacity: int | None = None) -> None:
        self.clock = clock
        self.capacity = capacity
        self.changed = threading.Condition(threading.RLock())
        self.ids = itertools.count(1)
        self.wipe()

    def wipe(self) -> None:
        """Forget everything, as a server does that lost its volume."""
        with self.changed:
            self.streams: dict[str, dict[str, _Entry]] = {}
            self.once: set[str] = set()
            self.beats: dict[str, _Beat] = {}
            self.mark: str | None = None

    def full(self) -> bool:
        """Whether new work is refused."""
        return self.capacity is not None and sum(map(len, self.streams.values())) >= self.capacity


class MemoryBus:
    """See `Bus` for the promises. One per consumer, all on one `MemoryQueue`.

    >>> queue = MemoryQueue()
    >>> bus = MemoryBus(queue)
    >>> bus.waiting("frames", "segmenter")
    0
    """

    def __init__(self, queue: MemoryQueue | None = None) -> None:
        self._queue = queue or MemoryQueue()
        self._streams: list[str] = []
        self._group = ""
        self._consumer = ""

    def publish(self, publications: Sequence[Publication]) -> list[bool]:
        """Publish each message once per key; True where it was new. Raises `BackPressure`."""
        with self._queue.changed:
            return [self._publish_one(item) for item in publications]

    def subscribe(self, streams: Sequence[str], group: str, consumer: str) -> None:
        """Say which streams this bus reads, and as whom."""
        self._streams, self._group, self._consumer = list(streams), group, consumer

    def read(self, count: int, block_s: float) -> list[Delivery]:
        """Return up to `count` new entries over all subscribed streams, waiting at most `block_s` seconds."""
        deadline = time.monotonic() + block_s
        with self._queue.changed:
            while True:
                fresh = ((stream, i) for stream, i, entry in self._entries() if entry.owner is None)
                found = [self._deliver(stream, i) for stream, i in list(itertools.islice(fresh, count))]
                if found or not self._queue.changed.wait(max(0.0, deadline - time.monotonic())):
                    return found

    def claim(self, count: int, idle_s: float) -> list[Delivery]:
        """Take over entries whose consumer is gone or which idle for longer than `idle_s`."""
        now = self._queue.clock()
        with self._queue.changed:
            stale = [
                (stream, i)
                for stream, i, entry in self._entries()
                if entry.owner not in (None, self._name)
                and (now - entry.delivered_at > idle_s or not self._beats(entry.owner or ""))
            ]
            return [self._deliver(stream, i) for stream, i in stale[:count]]

    def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> bool:
        """Publish outputs and acknowledge the input atomically; False when it was settled before."""
        with self._queue.changed:
            entry = self._queue.streams.get(delivery.stream, {}).get(delivery.entry_id)
            if entry is None or entry.owner is None:
                return False
            for item in outputs:
                self._add(item)
            del self._queue.streams[delivery.stream][delivery.entry_id]
            return True

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give unfinished entries back at once; the hand-over does not count as a delivery."""
        with self._queue.changed:
            for item in deliveries:
                entry = self._queue.streams.get(item.stream, {}).get(item.entry_id)
                if entry is not None and entry.owner == self._name:
                    entry.owner, entry.deliveries = "", item.deliveries - 1

    def strike(self, delivery: Delivery) -> int:
        """Count one attempt to process this entry alone, before the attempt; return the count so far."""
        with self._queue.changed:
            entry = self._queue.streams.get(delivery.stream, {}).get(delivery.entry_id)
            if entry is None:
                return 1
            entry.strikes += 1
            return entry.strikes

    def beat(self, status: dict[str, str], ttl_s: float) -> None:
        """Say that this consumer is alive for `ttl_s` seconds more, and renew its hold on what it has in hand."""
        now = self._queue.clock()
        with self._queue.changed:
            self._queue.beats[self._name] = _Beat(now + ttl_s, {"state": "running", **status})
            for _, _, entry in self._entries():
                if entry.owner == self._name:
                    entry.delivered_at = now

    def waiting(self, stream: str, group: str) -> int:
        """Count the entries of the stream that the group has not settled: undelivered plus pending."""
        with self._queue.changed:
            return len(self._queue.streams.get(stream, {}))

    def history(self, stream: str) -> Iterator[bytes]:
        """Yield the payloads that a stream still holds, oldest first."""
        with self._queue.changed:
            payloads = [entry.payload for entry in self._queue.streams.get(stream, {}).values()]
        yield from payloads

    def letters(self, stream: str, after: str, count: int) -> list[StreamEntry]:
        """Return up to `count` entries of a stream behind the one named `after`, oldest first."""
        behind = int(after.partition("-")[0] or 0)
        with self._queue.changed:
            entries = self._queue.streams.get(stream, {}).items()
            found = [
                StreamEntry(i, entry.key, entry.payload) for i, entry in entries if int(i.partition("-")[0]) > behind
            ]
            return found[:count]

    def put_back(self, dead: StreamEntry, stream: str, key: str, payload: bytes) -> bool:
        """Put what is a dead letter into a stream again, and drop the letter; False when it is gone."""
        with self._queue.changed:
            if self._queue.streams.get(DEAD, {}).pop(dead.entry_id, None) is None:
                return False
            self._queue.once.discard(dead.key)
            self._queue.once.add(key)
            entries = self._queue.streams.setdefault(stream, {})
            entries[f"{next(self._queue.ids)}-0"] = _Entry(key, payload)
            self._queue.changed.notify_all()
            return True

    def statuses(self) -> dict[str, dict[str, str]]:
        """Return the status of every consumer that beats, by `group/consumer`."""
        with self._queue.changed:
            return {name: dict(beat.status) for name, beat in self._queue.beats.items() if self._beats(name)}

    def epoch(self) -> str | None:
        """Return the random mark of this queue's life, or None when the queue is new or was wiped."""
        return self._queue.mark

    def begin_epoch(self) -> str:
        """Set a new mark and return it."""
        self._queue.mark = secrets.token_hex(8)
        return self._queue.mark

    def close(self) -> None:
        """Do nothing: pending entries stay pending."""

    @property
    def _name(self) -> str:
        return f"{self._group}/{self._consumer}"

    def _entries(self) -> Iterator[tuple[str, str, _Entry]]:
        for stream in self._streams:
            for entry_id, entry in self._queue.streams.get(stream, {}).items():
                yield stream, entry_id, entry

    def _beats(self, name: str) -> bool:
        beat = self._queue.beats.get(name)
        return beat is not None and beat.until > self._queue.clock()

    def _publish_one(self, item: Publication) -> bool:
        if item.key not in self._queue.once and self._queue.full():
            raise BackPressure("the queue is full; waiting for it", reason="queue")
        return self._add(item)

    def _add(self, item: Publication) -> bool:
        if item.key in self._queue.once:
            return False
        entries = self._queue.streams.setdefault(item.stream, {})
        entries[f"{next(self._queue.ids)}-0"] = _Entry(item.key, encode(item.message))
        self._queue.once.add(item.key)
        if len(entries) > CAPPED.get(item.stream, len(entries)):
            del entries[next(iter(entries))]
        self._queue.changed.notify_all()
        return True

    def _deliver(self, stream: str, entry_id: str) -> Delivery:
        entry = self._queue.streams[stream][entry_id]
        entry.owner, entry.delivered_at = self._name, self._queue.clock()
        entry.deliveries += 1
        return Delivery(stream, entry_id, entry.key, entry.payload, entry.deliveries)
