"""Pixels from one process to another: a ring in shared memory against bytes in a stream entry, in turns.

    python benchmarks/bench_handover.py --json benchmarks/results/0.1.0/handover.json

A round begins with decoded pixels in one process and ends when a second has them as an array, has read every page of
them and has acknowledged the entry. Both ways go through one stream of one server; what differs is where the pixels
are: in the entry, or in a slot of the ring. The ingester decodes TIFF into the slot itself, so there the round begins
with pixels in the slot; finding the slot counts, filling it does not, as decoding counts in no way. Measured beside
them: pixels that were decoded elsewhere and are copied into the slot (PNG), and a file in memory whose path is in the
entry.

The server keeps no log of what it holds, as Redis and Valkey come from their makers. Measures whose names end in
`_everysec` and `_always` are of the same server with an append-only file that reaches the disk once a second, and
before it answers, as in the server that cellvigil starts: entry and acknowledgement then wait for the disk in either
way, which takes longer than either takes to move pixels. The server lies in TMPDIR.
"""

import multiprocessing
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray
from rounds import measure, parser, write

from monitor.frames.frame import Frame
from services.ingest.filesystem import filesystem_of
from services.settings import ServerSettings
from services.transport.ring_file import MEMORY, MIB, RingShape, ring_path
from services.transport.server import ensure_server, stop_server
from services.transport.shared_memory import RingReader, RingWriter

SIDES = {"2mb": 1024, "8mb": 2048}
WAYS = ("ring", "bytes", "copied", "file")
STREAM, GROUP = "frames", "segmenter"
SHAPE = RingShape(slots=4, slot_bytes=8 * MIB)
LOGS = {
    "": {"appendonly": "no"},
    "_everysec": {"appendonly": "yes", "appendfsync": "everysec"},
    "_always": {"appendonly": "yes", "appendfsync": "always"},
}
WARM = 4
PAGE_PX = 2048
"""Pixels of uint16 on one page of memory."""

Fields = Mapping[bytes, bytes]


def touched(pixels: NDArray[np.uint16]) -> int:
    """Return the sum of one pixel per page: cheap, and no page stays unread."""
    return int(pixels.reshape(-1)[::PAGE_PX].sum(dtype=np.uint64))


def consume(url: str, ring: Path, told: Connection) -> None:
    """Take frames from the stream until one says that it is the last; runs in a process of its own."""
    reader = RingReader(ring)

    def from_ring(fields: Fields) -> NDArray[Any]:
        frame = reader.get(fields[b"frame_id"].decode(), os.lstat(fields[b"source"]))
        assert frame is not None
        return frame.pixels

    take: dict[bytes, Callable[[Fields], NDArray[Any]]] = {
        b"ring": from_ring,
        b"copied": from_ring,
        b"bytes": lambda fields: np.frombuffer(fields[b"pixels"], np.uint16).reshape(_shape(fields)),
        b"file": lambda fields: np.fromfile(fields[b"path"].decode(), np.uint16).reshape(_shape(fields)),
    }
    with redis.Redis.from_url(url, protocol=2) as client:
        told.send(0)
        while True:
            answer: Any = client.xreadgroup(GROUP, "consumer", {STREAM: ">"}, count=1, block=1000)
            for _, entries in answer or []:
                for entry, fields in entries:
                    if fields[b"way"] == b"end":
                        return
                    total = touched(take[fields[b"way"]](fields))
                    client.xack(STREAM, GROUP, entry)
                    told.send(total)


def _shape(fields: Fields) -> tuple[int, int]:
    return int(fields[b"rows"]), int(fields[b"columns"])


class Producer:
    """Hands frames over, one at a time, and takes the time and the server's work of each.

    Parameters
    ----------
    folder
        In memory, for the way by file.
    source
        Any file; it stands for the frame's own, which a reader of the ring looks at.
    """

    def __init__(self, client: redis.Redis, writer: RingWriter, told: Connection, folder: Path, source: Path) -> None:
        self._client, self._writer, self._told, self._source = client, writer, told, source
        self._file = folder / "frame.raw"

    def hand_over(self, way: str, pixels: NDArray[np.uint16]) -> tuple[float, float]:
        """Return seconds from decoded pixels to acknowledgement, and the server's seconds of processor time."""
        frame_id, expected = secrets.token_hex(32), touched(pixels)
        rows, columns = pixels.shape
        fields: dict[Any, Any] = {"way": way, "frame_id": frame_id, "rows": rows, "columns": columns}
        fields |= {"source": str(self._source), "path": str(self._file)}
        before = self._server_s()
        opening = time.perf_counter()
        if way in ("ring", "copied"):
            with self._writer.slot((rows, columns), pixels.dtype) as slot:
                assert slot is not None
                found_s = time.perf_counter() - opening
                if way == "ring":
                    np.copyto(slot.pixels, pixels)  # the decoder's work
                started = time.perf_counter() - found_s
                slot.publish(frame_id, Frame(slot.pixels if way == "ring" else pixels, 0.87), self._source.lstat())
        else:
            started = opening
            if way == "bytes":
                fields["pixels"] = memoryview(pixels).cast("B")
            else:
                pixels.tofile(self._file)
        self._client.xadd(STREAM, fields)
        total = self._told.recv()
        took = time.perf_counter() - started
        server_s = self._server_s() - before
        assert total == expected, f"{way}: other pixels came out than went in"
        self._client.xtrim(STREAM, maxlen=0, approximate=False)
        self._file.unlink(missing_ok=True)
        return took, server_s

    def _server_s(self) -> float:
        used: Any = self._client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def compare(name: str, producer: Producer, side: int, rounds: int, version: str) -> dict[str, Any]:
    """Hand frames of one size over in every way, in turns; return the measure."""
    rng = np.random.default_rng(side)
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    pixels = rng.integers(0, 4000, (side, side), dtype=np.uint16)
    for _ in range(WARM + rounds):
        for way in WAYS:
            pixels[:, 0] = rng.integers(0, 4000, side)  # each frame is another
            times[way].append(producer.hand_over(way, pixels))
    taken = {way: [took for took, _ in pairs[WARM:]] for way, pairs in times.items()}
    against = "pixels as bytes in a stream entry"
    report: dict[str, Any] = measure(name, taken["ring"], taken["bytes"], against=against, version=version)
    server = {way: round(1000.0 * statistics.mean(used for _, used in times[way][WARM:]), 4) for way in WAYS}
    beside = {f"{way}_ms": round(1000.0 * statistics.median(taken[way]), 4) for way in ("copied", "file")}
    print(f"{'':28} copied into the slot: {beside['copied_ms']:.3f} ms; file in memory: {beside['file_ms']:.3f} ms")
    print(f"{'':28} server, ms of processor per frame: " + ", ".join(f"{way} {ms:.3f}" for way, ms in server.items()))
    return report | beside | {"server_cpu_ms": server}


def versions(client: redis.Redis) -> str:
    """Return the client's and the server's versions."""
    server: Any = client.info("server")
    name = "valkey" if "valkey_version" in server else "redis"
    parser_of = type(client.connection_pool.make_connection()._parser).__name__.strip("_")
    return f"redis-py {redis.__version__} ({parser_of}), {name} {server[f'{name}_version']}, unix socket"


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=100)
    args = made.parse_args()
    os.environ.pop("REDIS_URL", None)  # the server is one of its own
    spawn = multiprocessing.get_context("spawn")
    hears, tells = spawn.Pipe(duplex=False)
    measures = []
    with (
        tempfile.TemporaryDirectory(prefix="cellvigil-bench-") as state,
        tempfile.TemporaryDirectory(prefix="cellvigil-bench-", dir=MEMORY) as memory,
    ):
        source = Path(state) / "frame.tif"
        source.write_bytes(b"frame")
        server = ensure_server(Path(state), ServerSettings())
        writer = RingWriter(ring_path(Path(state)), SHAPE)
        consumer = spawn.Process(target=consume, args=(server.url, ring_path(Path(state)), tells), daemon=True)
        try:
            with redis.Redis.from_url(server.url, protocol=2) as client:
                # else the server would write its file anew now and then, for the sake of the bytes alone
                client.config_set("auto-aof-rewrite-percentage", 0)
                client.xgroup_create(STREAM, GROUP, mkstream=True)
                consumer.start()
                tells.close()
                hears.recv()
                producer, version = Producer(client, writer, hears, Path(memory), source), versions(client)
                for suffix, log in LOGS.items():
                    for key, value in log.items():
                        client.config_set(key, value)
                    for size, side in SIDES.items():
                        measures.append(compare(f"handover_{size}{suffix}", producer, side, args.rounds, version))
                client.xadd(STREAM, {"way": "end"})
                consumer.join()
        finally:
            writer.close()
            stop_server(Path(state))
        kind = filesystem_of(Path(state))
    write(args.json, measures, server_settings=LOGS, server_on=kind)


if __name__ == "__main__":
    main()
