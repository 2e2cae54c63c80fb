"""The bus on Redis Streams (Redis 7.0 commands, so Valkey and every later Redis will do)."""

import functools
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from monitor.errors import BackPressure
from services.transport.bus import Delivery
from services.transport.codec import encode
from services.transport.scripts import PUBLISH, SETTLE
from services.transport.stage import Publication
from services.transport.streams import CAPPED

P = ParamSpec("P")
R = TypeVar("R")

RELEASED = "released"
"""Consumer name that never beats: what it holds may be claimed at once."""
SOCKET_TIMEOUT_S = 30.0


def _backed_off(call: Callable[P, R]) -> Callable[P, R]:
    """Turn every way in which Redis refuses or is away into `BackPressure`."""

    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError) as error:
            message = f"the queue refuses or is away: {error}; waiting for it"
            raise BackPressure(message, reason="queue") from error

    wrapped.__doc__ = call.__doc__
    return wrapped


class RedisBus:
    """See `Bus` for the promises.

    Parameters
    ----------
    url
        `unix:///path/to/socket` or `redis://127.0.0.1:6379/0`.
    prefix
        Put before every key, so that installations can share a server.

    Notes
    -----
    redis-py's own retries are off: it would repeat a command whose answer was lost, and double it. The scripts are
    safe to repeat, the runner does so.
    """

    def __init__(self, url: str, prefix: str = "cellvigil:") -> None:
        self._prefix = prefix
        self._redis = redis.Redis.from_url(
            url, protocol=2, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=5.0, retry=Retry(NoBackoff(), 0)
        )
        self._publish = self._redis.register_script(PUBLISH)
        self._settle = self._redis.register_script(SETTLE)
        self._streams: list[str] = []
        self._group = ""
        self._consumer = ""

    @_backed_off
    def publish(self, publications: Sequence[Publication]) -> list[bool]:
        """Publish each message once per key; True where it was new. Raises `BackPressure`."""
        if not publications:
            return []
        self._load()
        pipe = self._redis.pipeline(transaction=False)
        for item in publications:
            keys, values = self._output(item)
            pipe.evalsha(self._publish.sha, 2, *keys, *values)
        return [bool(answer) for answer in pipe.execute()]

    @_backed_off
    def subscribe(self, streams: Sequence[str], group: str, consumer: str) -> None:
        """Create group and streams where missing."""
        self._streams, self._group, self._consumer = list(streams), group, consumer
        for stream in streams:
            try:
                self._redis.xgroup_create(self._key(stream), group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    @_backed_off
    def read(self, count: int, block_s: float) -> list[Delivery]:
        """Return up to `count` new entries over all subscribed streams, waiting at most `block_s` seconds."""
        wanted: dict[Any, Any] = {self._key(stream): ">" for stream in self._streams}
        answer: Any = self._surviving_a_wipe(
            lambda: self._redis.xreadgroup(
                self._group, self._consumer, wanted, count=count, block=max(1, round(block_s * 1000))
            )
        )
        return [
            delivery
            for name, entries in answer or []
            for entry_id, fields in entries
            if (delivery := self._delivery(self._bare(name), entry_id, fields, 1)) is not None
        ]

    @_backed_off
    def claim(self, count: int, idle_s: float) -> list[Delivery]:
        """Take over entries whose consumer is gone or which idle for longer than `idle_s`."""
        taken: list[Delivery] = []
        for stream in self._streams:
            claim = functools.partial(self._claim_on, stream, count - len(taken), idle_s)
            taken += self._surviving_a_wipe(claim) or []
            if len(taken) >= count:
                break
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
        return bool(answer)

    @_backed_off
    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give unfinished entries back at once; the hand-over does not count as a delivery."""
        for item in deliveries:
            self._redis.xclaim(
                self._key(item.stream),
                self._group,
                RELEASED,
                0,
                [item.entry_id],
                retrycount=item.deliveries - 1,
                justid=True,
            )

    @_backed_off
    def strike(self, delivery: Delivery) -> int:
        """Count one attempt to process this entry alone, before the attempt; return the count so far."""
        return int(self._redis.hincrby(self._strikes(delivery.stream), delivery.entry_id, 1))

    @_backed_off
    def beat(self, status: dict[str, str], ttl_s: float) -> None:
        """Say that this consumer is alive for `ttl_s` seconds more, with a small status."""
        key = self._beat(self._group, self._consumer)
        pipe = self._redis.pipeline(transaction=True)
        fields: dict[Any, Any] = {"state": "running", **status}
        pipe.hset(key, mapping=fields)
        pipe.pexpire(key, max(1, round(ttl_s * 1000)))
        pipe.execute()

    @_backed_off
    def statuses(self) -> dict[str, dict[str, str]]:
        """Return the status of every consumer that beats, by `group/consumer`."""
        found: dict[str, dict[str, str]] = {}
        start = len(self._beat("", "")) - 1
        for key in self._redis.scan_iter(match=self._beat("*", "*"), count=500):
            fields: Any = self._redis.hgetall(key)
            found[key.decode()[start:]] = {k.decode(): v.decode() for k, v in fields.items()}
        return found

    @_backed_off
    def waiting(self, stream: str, group: str) -> int:
        """Count the entries that the group has not settled: settled ones are deleted, so it is the length."""
        return int(self._redis.xlen(self._key(stream)))

    def history(self, stream: str) -> Iterator[bytes]:
        """Yield the payloads that a stream still holds, oldest first."""
        last = "-"
        while True:
            entries: Any = self._redis.xrange(self._key(stream), min=last, count=500)
            if not entries:
                return
            for _, fields in entries:
                yield fields[b"payload"]
            last = f"({entries[-1][0].decode()}"

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

    def _claim_on(self, stream: str, count: int, idle_s: float) -> list[Delivery]:
        key = self._key(stream)
        found: Any = self._redis.xpending_range(key, self._group, "-", "+", min(100, count + 50))
        alive = {self._consumer: True}
        wanted: list[bytes] = []
        for entry in found:
            owner = entry["consumer"].decode()
            if owner not in alive:
                alive[owner] = bool(self._redis.exists(self._beat(self._group, owner)))
            idle = entry["time_since_delivered"] > idle_s * 1000
            if owner != self._consumer and (idle or not alive[owner]):
                wanted.append(entry["message_id"])
        counts = {entry["message_id"]: int(entry["times_delivered"]) for entry in found}
        taken = [self._take(key, stream, entry_id, counts[entry_id] + 1) for entry_id in wanted[:count]]
        self._bury(key, [owner for owner, lives in alive.items() if not lives])
        return [delivery for delivery in taken if delivery is not None]

    def _take(self, key: str, stream: str, entry_id: bytes, deliveries: int) -> Delivery | None:
        entries: Any = self._redis.xclaim(key, self._group, self._consumer, 0, [entry_id])
        return self._delivery(stream, entries[0][0], entries[0][1], deliveries) if entries else None

    def _bury(self, key: str, dead: list[str]) -> None:
        """Forget consumers that are gone and hold nothing; deleting one that holds entries would lose them."""
        if not dead:
            return
        consumers: Any = self._redis.xinfo_consumers(key, self._group)
        for consumer in consumers:
            name = consumer["name"].decode()
            if name in dead and consumer["pending"] == 0 and not self._redis.exists(self._beat(self._group, name)):
                self._redis.xgroup_delconsumer(key, self._group, name)

    def _surviving_a_wipe(self, call: Callable[[], R]) -> R | None:
        """Call; where the group is gone, make it again and return None: the caller finds nothing this time."""
        try:
            return call()
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self.subscribe(self._streams, self._group, self._consumer)
            return None

    def _load(self) -> None:
        for script in (self._publish, self._settle):
            if not self._redis.script_exists(script.sha)[0]:
                self._redis.script_load(script.script)

    def _output(self, item: Publication) -> tuple[list[str], list[bytes | str]]:
        keys = [self._key(item.stream), self._key(f"once:{item.key}")]
        return keys, [item.key, encode(item.message), str(CAPPED.get(item.stream, 0))]

    def _delivery(self, stream: str, entry_id: bytes, fields: Any, deliveries: int) -> Delivery | None:  # noqa: ANN401 (redis-py's own type)
        if not fields:
            return None
        return Delivery(stream, entry_id.decode(), fields[b"key"].decode(), fields[b"payload"], deliveries)

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def _bare(self, key: bytes) -> str:
        return key.decode().removeprefix(self._prefix)

    def _strikes(self, stream: str) -> str:
        return self._key(f"strikes:{stream}")

    def _beat(self, group: str, consumer: str) -> str:
        return self._key(f"beat:{group}/{consumer}")
