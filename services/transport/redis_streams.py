"""The bus on Redis Streams (Redis 7.0 commands, so Valkey and every later Redis will do)."""

import functools
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError
from redis.retry import Retry

from monitor.errors import BackPressure
from services.transport import scripts
from services.transport.bus import Delivery, StreamEntry
from services.transport.codec import encode
from services.transport.stage import Publication
from services.transport.streams import CAPPED, DEAD, FORMER

P = ParamSpec("P")
R = TypeVar("R")

RELEASED = "released"
"""Consumer name that never beats: what it holds may be claimed at once."""
SOCKET_TIMEOUT_S = 10.0
REFUSALS = ("OOM", "MISCONF", "LOADING", "BUSY", "READONLY", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN")
"""Answers that mean "not now": memory or disk full, starting, changing roles. Any other is a mistake and is raised."""
WIPED = ("NOGROUP", "no such key", "UNBLOCKED")
"""Answers that mean that group or stream are gone; the last is Redis 7.0's to a read that was waiting."""


def _backed_off(call: Callable[P, R]) -> Callable[P, R]:
    """Turn every way in which Redis refuses or is away into `BackPressure`."""

    @functools.wraps(call)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except (redis.ConnectionError, redis.TimeoutError, OutOfMemoryError, ReadOnlyError) as error:
            raise BackPressure(f"the queue refuses or is away: {error}", reason="queue") from error
        except redis.ResponseError as error:
            if not any(word in str(error) for word in REFUSALS):
                raise
            raise BackPressure(f"the queue refuses: {error}", reason="queue") from error

    return wrapped


class RedisBus:
    """See `Bus` for the promises.

    Parameters
    ----------
    url
        `unix:///path/to/socket` or `redis://127.0.0.1:6379/0`.
    prefix
        Put before every key, so that installations can share a server.
    timeout_s
        How long an answer may take before the server counts as away.

    Notes
    -----
    redis-py's own retries are off: it would repeat a command whose answer was lost, and double it. The scripts are
    safe to repeat, the runner does so. Entries whose delivery was lost with the answer to a read are found by `claim`:
    this consumer owns them and does not have them in hand.
    """

    def __init__(self, url: str, prefix: str = "cellvigil:", *, timeout_s: float = SOCKET_TIMEOUT_S) -> None:
        self._prefix = prefix
        self._longest_block_s = timeout_s / 2.0
        self._redis = redis.Redis.from_url(
            url,
            protocol=2,
            socket_timeout=timeout_s,
            socket_connect_timeout=min(5.0, timeout_s),
            retry=Retry(NoBackoff(), 0),
        )
        register = self._redis.register_script
        self._publish, self._settle = register(scripts.PUBLISH), register(scripts.SETTLE)
        self._claim, self._hand_over = register(scripts.CLAIM), register(scripts.HAND_OVER)
        self._strike, self._beat = register(scripts.STRIKE), register(scripts.BEAT)
        self._put_back = register(scripts.PUT_BACK)
        self._streams: list[str] = []
        self._group = ""
        self._consumer = ""
        self._held: dict[str, set[str]] = {}
        self._lock = threading.Lock()  # the heartbeat renews what the loop holds

    @_backed_off
    def publish(self, publications: Sequence[Publication]) -> list[bool]:
        """Publish each message once per key; True where it was new. Raises `BackPressure`."""
        return [bool(answer) for answer in self._all(self._publish, [self._output(item) for item in publications])]

    @_backed_off
    def subscribe(self, streams: Sequence[str], group: str, consumer: str) -> None:
        """Create group and streams where missing."""
        self._streams, self._group, self._consumer = list(streams), group, consumer
        with self._lock:
            self._held = {stream: set() for stream in streams}
        for stream in streams:
            try:
                self._redis.xgroup_create(self._key(stream), group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    @_backed_off
    def read(self, count: int, block_s: float) -> list[Delivery]:
        """Return up to `count` new entries over all subscribed streams, waiting at most `block_s` seconds."""
        found = self._read_now(count)
        if found or block_s <= 0:
            return found
        wait_ms = max(1, round(min(block_s, self._longest_block_s) * 1000))
        found = self._read_from(self._streams, 1, wait_ms)
        if len(found) > count:  # several streams filled in the same moment
            self.release(found[count:])
            return found[:count]
        return found + self._read_now(count - len(found)) if found else []

    @_backed_off
    def claim(self, count: int, idle_s: float) -> list[Delivery]:
        """Take over entries whose consumer is gone or which idle for longer than `idle_s`."""
        taken: list[Delivery] = []
        for stream in self._streams:
            if len(taken) < count:
                claim = functools.partial(self._claim_on, stream, count - len(taken), idle_s)
                taken += self._surviving_a_wipe(claim) or []
        return taken

    @_backed_off
    def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> bool:
        """Publish outputs and acknowledge the input atomically; False when it was settled before."""
        keys = [self._key(delivery.stream), self._strikes(delivery.stream)]
        values: list[bytes | str] = [self._group, delivery.entry_id]
        for item in outputs:
            more_keys, more_values = self._output(item)
            keys += more_keys
            values += more_values
        answer: Any = self._surviving_a_wipe(lambda: self._settle(keys=keys, args=values))
        self._let_go([delivery])
        return bool(answer)

    @_backed_off
    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give unfinished entries back at once; the hand-over does not count as a delivery."""
        for stream in {item.stream for item in deliveries}:
            counts = {item.entry_id: item.deliveries - 1 for item in deliveries if item.stream == stream}
            self._surviving_a_wipe(functools.partial(self._hand_over_on, stream, RELEASED, counts))
        self._let_go(deliveries)

    @_backed_off
    def strike(self, delivery: Delivery) -> int:
        """Count one attempt to process this entry alone, before the attempt; return the count so far."""
        answer: Any = self._strike(keys=[self._strikes(delivery.stream)], args=[delivery.entry_id])
        return int(answer)

    @_backed_off
    def beat(self, status: dict[str, str], ttl_s: float) -> None:
        """Say that this consumer is alive for `ttl_s` seconds more, and renew its hold on what it has in hand."""
        name = f"{self._group}/{self._consumer}"
        fields = [text for pair in {"state": "running", **status}.items() for text in pair]
        ttl_ms = max(0, round(ttl_s * 1000))  # 0 is the end at once
        self._beat(keys=[self._beat_key(name), self._key("beats")], args=[name, ttl_ms, *fields])
        with self._lock:
            held = {stream: dict.fromkeys(entries, -1) for stream, entries in self._held.items() if entries}
        try:
            for stream, counts in held.items():
                self._hand_over_on(stream, self._consumer, counts)
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):  # wiped: the loop meets it too and subscribes again
                raise

    @_backed_off
    def rename_former(self, partitions: int) -> None:
        """Give streams that an earlier version left their names of now, with what waits in them and their groups."""
        for route, former in FORMER.items():
            for number, stream in enumerate(route.streams(partitions)):
                if self._redis.exists(before := self._key(f"{former}.{number}")):
                    self._redis.renamenx(before, self._key(stream))

    @_backed_off
    def statuses(self) -> dict[str, dict[str, str]]:
        """Return the status of every consumer that beats, by `group/consumer`."""
        found: dict[str, dict[str, str]] = {}
        names: Any = self._redis.smembers(self._key("beats"))
        for name in sorted(name.decode() for name in names):
            fields: Any = self._redis.hgetall(self._beat_key(name))
            if fields:
                found[name] = {field.decode(): text.decode() for field, text in fields.items()}
            else:
                self._redis.srem(self._key("beats"), name)
        return found

    @_backed_off
    def waiting(self, stream: str, group: str) -> int:
        """Count the entries that the group has not settled: settled ones are deleted, so it is the length."""
        return int(self._redis.xlen(self._key(stream)))

    def history(self, stream: str) -> Iterator[bytes]:
        """Yield the payloads that a stream still holds, oldest first."""
        last = "-"
        while entries := self._page(stream, last):
            for _, fields in entries:
                yield fields[b"payload"]
            last = f"({entries[-1][0].decode()}"

    @_backed_off
    def letters(self, stream: str, after: str, count: int) -> list[StreamEntry]:
        """Return up to `count` entries of a stream behind the one named `after`, oldest first."""
        first = f"({after}" if after else "-"
        entries: Any = self._redis.xrange(self._key(stream), min=first, count=count)
        return [
            StreamEntry(entry_id.decode(), fields[b"key"].decode(), fields[b"payload"]) for entry_id, fields in entries
        ]

    @_backed_off
    def put_back(self, dead: StreamEntry, stream: str, key: str, payload: bytes) -> bool:
        """Put what is a dead letter into a stream again, and drop the letter; False when it is gone."""
        keys = [self._key(DEAD), self._key(f"once:{dead.key}"), self._key(stream), self._key(f"once:{key}")]
        answer: Any = self._put_back(keys=keys, args=[dead.entry_id, key, payload])
        return bool(answer)

    @_backed_off
    def epoch(self) -> str | None:
        """Return the mark of this queue's life, or None when the queue is new or was wiped."""
        mark: Any = self._redis.get(self._key("epoch"))
        return mark.decode() if mark else None

    @_backed_off
    def begin_epoch(self) -> str:
        """Set a new mark and return it; the ingester does this after it has re-queued everything unfinished."""
        mark = secrets.token_hex(8)
        self._redis.set(self._key("epoch"), mark)
        return mark

    def close(self) -> None:
        """Drop the connection; pending entries stay pending."""
        self._redis.close()

    def _read_now(self, count: int) -> list[Delivery]:
        """Read what is there, stream by stream: Redis would return `count` of each."""
        found: list[Delivery] = []
        for stream in self._streams:
            if len(found) < count:
                found += self._read_from([stream], count - len(found), None)
        self._streams = self._streams[1:] + self._streams[:1]  # the next read begins with another
        return found

    def _read_from(self, streams: Sequence[str], count: int, wait_ms: int | None) -> list[Delivery]:
        wanted: dict[Any, Any] = {self._key(stream): ">" for stream in streams}
        answer: Any = self._surviving_a_wipe(
            lambda: self._redis.xreadgroup(self._group, self._consumer, wanted, count=count, block=wait_ms)
        )
        return self._take([(self._bare(name), *entry, 1) for name, entries in answer or [] for entry in entries])

    def _claim_on(self, stream: str, count: int, idle_s: float) -> list[Delivery]:
        key = self._key(stream)
        consumers: Any = self._redis.xinfo_consumers(key, self._group)
        pending = {consumer["name"].decode(): int(consumer["pending"]) for consumer in consumers}
        mine = pending.pop(self._consumer, 0)
        gone = [name for name in pending if not self._redis.exists(self._beat_key(f"{self._group}/{name}"))]
        idle_ms = max(1, round(idle_s * 1000))
        args = [self._group, self._consumer, count, count + mine, idle_ms, *gone]
        found: Any = self._claim(keys=[key], args=args)
        pairs = [(entry_id, dict(zip(flat[::2], flat[1::2], strict=True)), n) for entry_id, flat, n in found]
        taken = self._take([(stream, *entry) for entry in pairs])
        if mine > len(self._held[stream]) - len(taken) and len(taken) < count:
            taken += self._lost_on(stream, count - len(taken))
        return taken

    def _lost_on(self, stream: str, count: int) -> list[Delivery]:
        """Fetch what was read by this consumer without reaching it: the answer was lost on the way."""
        key = self._key(stream)
        look = len(self._held[stream]) + count
        found: Any = self._redis.xpending_range(key, self._group, "-", "+", look, consumername=self._consumer)
        lost = [e["message_id"] for e in found if e["message_id"].decode() not in self._held[stream]][:count]
        if not lost:
            return []
        entries: Any = self._redis.xclaim(key, self._group, self._consumer, 0, lost, justid=False)
        counts = {entry["message_id"]: int(entry["times_delivered"]) for entry in found}
        # the lost delivery was none, so it does not make the entry a suspect
        return self._take([(stream, entry_id, fields, counts[entry_id]) for entry_id, fields in entries])

    def _take(self, entries: Sequence[tuple[str, bytes, Any, int]]) -> list[Delivery]:
        """Make deliveries and keep in mind that they are in hand."""
        taken = [
            Delivery(stream, entry_id.decode(), fields[b"key"].decode(), fields[b"payload"], deliveries)
            for stream, entry_id, fields, deliveries in entries
            if fields
        ]
        with self._lock:
            for item in taken:
                self._held[item.stream].add(item.entry_id)
        return taken

    def _let_go(self, deliveries: Sequence[Delivery]) -> None:
        with self._lock:
            for item in deliveries:
                self._held.get(item.stream, set()).discard(item.entry_id)

    def _hand_over_on(self, stream: str, consumer: str, counts: dict[str, int]) -> None:
        idle_ms = 0 if consumer == self._consumer else 86_400_000
        entries = [text for entry_id, count in counts.items() for text in (entry_id, count)]
        self._hand_over(keys=[self._key(stream)], args=[self._group, self._consumer, consumer, idle_ms, *entries])

    def _surviving_a_wipe(self, call: Callable[[], R]) -> R | None:
        """Call; where the group is gone, make it again and return None: the caller finds nothing this time."""
        try:
            return call()
        except redis.ResponseError as error:
            if not any(word in str(error) for word in WIPED):
                raise
            self.subscribe(self._streams, self._group, self._consumer)
            return None

    def _all(self, script: Script, calls: Sequence[tuple[list[str], list[bytes | str]]]) -> list[Any]:
        """Run a script many times in one round trip; a server that does not know it yet learns it."""
        pipe = self._redis.pipeline(transaction=False)
        for keys, values in calls:
            pipe.evalsha(script.sha, len(keys), *keys, *values)
        answers: list[Any] = pipe.execute(raise_on_error=False)
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            self._redis.script_load(script.script)
            for index, answer in zip(unknown, self._all(script, [calls[i] for i in unknown]), strict=True):
                answers[index] = answer
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    @_backed_off
    def _page(self, stream: str, first: str) -> Any:  # noqa: ANN401 (redis-py's own type)
        return self._redis.xrange(self._key(stream), min=first, count=500)

    def _output(self, item: Publication) -> tuple[list[str], list[bytes | str]]:
        keys = [self._key(item.stream), self._key(f"once:{item.key}")]
        return keys, [item.key, encode(item.message), str(CAPPED.get(item.stream, 0))]

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def _bare(self, key: bytes) -> str:
        return key.decode().removeprefix(self._prefix)

    def _strikes(self, stream: str) -> str:
        return self._key(f"strikes:{stream}")

    def _beat_key(self, name: str) -> str:
        return self._key(f"beat:{name}")
