"""The bus between stages, as a protocol: at-least-once delivery, once-only publication, atomic settling.

Promises that every implementation keeps (the contract suite in `tests/contract` holds them to it):

* `publish` with a key that was published before is a no-op and returns False.
* `settle` publishes the outputs (each once per key), then acknowledges the input, in one atomic step: after a crash
  at any moment either both happened or neither. Settling twice, or settling what another consumer already settled,
  changes nothing and returns False.
* An entry that was read and not settled stays pending; `claim` hands it over once its consumer's heartbeat is gone,
  or it has been idle for `idle_s`.
* Groups start at the beginning of the stream: what was published before the first reader is delivered.
* A stream is worked off by one group: an entry that was settled is gone, and the stream holds what is left to do.
* `publish` raises `BackPressure` when the queue refuses or cannot be reached; nothing else is raised for that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.transport.stage import Publication


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry handed to a consumer.

    `entry_id` is the bus's own id; `deliveries` counts hand-overs of this entry, 1 on the first.
    """

    stream: str
    entry_id: str
    key: str
    payload: bytes
    deliveries: int


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One entry that a stream holds, as somebody sees it who only looks."""

    entry_id: str
    key: str
    payload: bytes


class Bus(Protocol):
    """A connection to the queue for one process; not shared between processes."""

    def publish(self, publications: Sequence[Publication]) -> list[bool]:
        """Publish each message once per key; True where it was new. Raises `BackPressure`."""

    def subscribe(self, streams: Sequence[str], group: str, consumer: str) -> None:
        """Create group and streams where missing; must be called again after the server was wiped."""

    def read(self, count: int, block_s: float) -> list[Delivery]:
        """Return up to `count` new entries over all subscribed streams, waiting at most `block_s` seconds."""

    def claim(self, count: int, idle_s: float) -> list[Delivery]:
        """Take over up to `count` entries whose consumer is gone or which idle for longer than `idle_s`."""

    def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> bool:
        """Publish outputs and acknowledge the input atomically; False when it was settled before."""

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give unfinished entries back at once, for a graceful stop; another consumer may claim them immediately."""

    def strike(self, delivery: Delivery) -> int:
        """Count one attempt to process this entry alone, before the attempt; return the count so far."""

    def beat(self, status: dict[str, str], ttl_s: float) -> None:
        """Say that this consumer is alive for `ttl_s` seconds more, with a small status for `cellvigil status`.

        Renews its hold on the entries that it has in hand, so that they do not count as idle. With 0 its life ends
        at once.
        """

    def waiting(self, stream: str, group: str) -> int:
        """Count the entries of the stream that the group has not settled: undelivered plus pending."""

    def history(self, stream: str) -> Iterator[bytes]:
        """Yield the payloads that a stream still holds, oldest first."""

    def letters(self, stream: str, after: str, count: int) -> list[StreamEntry]:
        """Return up to `count` entries of a stream behind the one named `after`, oldest first; "" is the beginning."""

    def put_back(self, dead: StreamEntry, stream: str, key: str, payload: bytes) -> bool:
        """Put what is a dead letter into a stream again, whatever was published under its key, and drop the letter.

        Both happen or neither; False when the letter is gone. Should it fail again, it becomes a letter again.
        """

    def statuses(self) -> dict[str, dict[str, str]]:
        """Return the status of every consumer that beats, by `group/consumer`."""

    def epoch(self) -> str | None:
        """Return the random mark of this queue's life, or None when the queue is new or was wiped."""

    def begin_epoch(self) -> str:
        """Set a new mark and return it; the ingester does this after it has re-queued everything unfinished."""

    def close(self) -> None:
        """Drop the connection; pending entries stay pending."""
