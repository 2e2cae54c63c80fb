"""The real processes under load: a queue server and the workers in a folder of their own, fed with simulated frames."""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.errors import BackPressure, SettingsError
from monitor.messages import FrameFailed, Message, PotencyEstimated
from services.bench.frames import Staged, publish
from services.chain.run import run
from services.settings import ServerSettings, Settings, load_settings
from services.state_folder import StateFolder
from services.telemetry import configure_logging
from services.transport.codec import decode
from services.transport.redis_streams import RedisBus
from services.transport.server import ensure_server, stop_server
from services.transport.streams import DEAD, ESTIMATES

SETTLE_S = 0.3
"""How long a file must hold still here; the default of a real run is `watch.settle_s`, 2 s."""
READY_S = 600.0
QUIET_S = 120.0
"""Frames that bring nothing for so long are given up."""
LOOK_S = 0.05
WORKERS = ("ingester", "segmenter", "predictor")


@dataclass(frozen=True, slots=True)
class Offered:
    """What became of frames that were offered.

    closed, published: seconds of this machine's clock by name of the frame: when its file had its last name, and when
    its first estimate was in the queue; failed: frames that a worker gave up; frames in neither are lost.
    """

    closed: Mapping[str, float]
    published: Mapping[str, float]
    failed: int

    @property
    def latencies_s(self) -> list[float]:
        """Seconds from file closed to estimate published, in the order of the offer."""
        return [self.published[name] - closed for name, closed in self.closed.items() if name in self.published]

    @property
    def lost(self) -> int:
        """Frames without estimate or failure when it was given up to wait."""
        return len(self.closed) - len(self.published) - self.failed

    def throughput_per_s(self, batch: int) -> float:
        """Return frames per second from the end of a burst, the first after `batch` estimates, to the last estimate.

        Results come in bursts, one for each batch: to count from within one would count work that lies before it.

        Raises
        ------
        SettingsError
            There are too few estimates.
        """
        moments = sorted(self.published.values())
        first, count = batch, len(moments)
        usual_s = (moments[-1] - moments[0]) / count if moments else 0.0
        while first < count and moments[first] - moments[first - 1] < 0.5 * usual_s:
            first += 1
        if first >= count or moments[-1] <= moments[first - 1]:
            message = f"{count} estimates are too few to measure a throughput; offer more frames"
            raise SettingsError(message, reason="too_few_frames")
        return (count - first) / (moments[-1] - moments[first - 1])


class ChainUnderLoad:
    """Ingester, segmenter, predictor and notifier as processes; see `running_chain`."""

    def __init__(self, watch: Path, settings: Settings, url: str) -> None:
        self.settings = settings
        self.ready_s = 0.0
        self._watch = watch
        self._url = url
        self._stop = threading.Event()
        self._collector = _Collector(url, settings)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="bench")
        self._running: list[Future[object]] = []

    def begin(self) -> None:
        """Start the processes and wait until all of them are ready; `ready_s` says how long that took.

        Raises
        ------
        SettingsError
            `not_ready`: they are not ready in time.
        """
        began = time.monotonic()
        self._running.append(self._pool.submit(run, self.settings, self._stop))
        self._running.append(self._pool.submit(self._collector.run, self._stop))
        self._wait_until_ready()
        self.ready_s = time.monotonic() - began

    def end(self) -> None:
        """Stop the processes and wait for them."""
        self._stop.set()
        self._pool.shutdown(wait=True)
        self._collector.close()

    def offer(self, staged: Sequence[Staged], rate_per_s: float | None) -> Offered:
        """Move frames into the watched folder, at a rate or (None) all at once, and wait for their estimates.

        The files must lie on the file system of `place`.
        """
        closed: dict[str, float] = {}
        failed_before = len(self._collector.failed)
        started = time.monotonic()
        for number, frame in enumerate(staged):
            if rate_per_s is not None:
                self._stop.wait(max(0.0, started + number / rate_per_s - time.monotonic()))
            closed[frame.name] = time.time()
            publish([frame], self._watch)
        self._wait_for(closed, failed_before)
        published = {name: self._collector.published[name] for name in closed if name in self._collector.published}
        return Offered(closed, published, len(self._collector.failed) - failed_before)

    def _wait_until_ready(self) -> None:
        bus = RedisBus(self._url, self.settings.server.prefix)
        until = time.monotonic() + READY_S
        try:
            while True:
                self._raise_error()
                ready = {n.split("/")[0] for n, s in bus.statuses().items() if s.get("state") == "running"}
                if ready.issuperset(WORKERS):
                    return
                if time.monotonic() > until:
                    missing = ", ".join(name for name in WORKERS if name not in ready)
                    message = f"{missing}: not ready within {READY_S:.0f} s; `cellvigil doctor` looks for the reason"
                    raise SettingsError(message, reason="not_ready")
                self._stop.wait(LOOK_S)
        finally:
            bus.close()

    def _wait_for(self, closed: Mapping[str, float], failed_before: int) -> None:
        seen, quiet_since = -1, time.monotonic()
        while True:
            self._raise_error()
            done = sum(name in self._collector.published for name in closed)
            done += len(self._collector.failed) - failed_before
            if done >= len(closed):
                return
            if done != seen:
                seen, quiet_since = done, time.monotonic()
            if time.monotonic() - quiet_since > QUIET_S:
                return
            self._stop.wait(LOOK_S)

    def _raise_error(self) -> None:
        for part in self._running:
            if part.done() and (error := part.exception()) is not None:
                raise error


class _Collector:
    """Notes when estimates and failures come into the queue, by the queue's own time, which is this machine's."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.published: dict[str, float] = {}
        self.failed: set[str] = set()
        self._bus = RedisBus(url, settings.server.prefix)

    def run(self, stop: threading.Event) -> None:
        """Read until `stop`."""
        self._bus.subscribe([ESTIMATES, DEAD], "bench", "bench")
        while not stop.is_set():
            try:
                for delivery in self._bus.read(256, 0.2):
                    self._note(decode(delivery.payload), int(delivery.entry_id.split("-")[0]) / 1000.0)
            except BackPressure:
                stop.wait(LOOK_S)

    def close(self) -> None:
        """Drop the connection."""
        self._bus.close()

    def _note(self, message: Message, moment: float) -> None:
        if isinstance(message, PotencyEstimated):
            self.published.setdefault(message.source, moment)
        elif isinstance(message, FrameFailed):
            self.failed.add(message.frame_id)


@contextmanager
def running_chain(
    place: Path,
    *,
    engine: str,
    threads: int | None = None,
    weights: Path | None = None,
    engines: Path | None = None,
) -> Iterator[ChainUnderLoad]:
    """Give the chain, ready for frames, with a queue server of its own; both end with the context.

    Parameters
    ----------
    place
        An empty folder; everything lies in it.
    engine, threads, weights
        As in the settings of the segmenter.
    engines
        Folder of built engines and comparisons that the segmenter shall find, so that it does not make them again.
    """
    state, watch = StateFolder(place / "state"), place / "watched"
    watch.mkdir(parents=True)
    state.create()
    if engines is not None and engines.is_dir():
        state.engines.symlink_to(engines.resolve(), target_is_directory=True)
    configure_logging(state.logs, "run", terminal=False)
    try:
        with _without_named_server():
            url = ensure_server(state.root, ServerSettings()).url
        chain = ChainUnderLoad(watch, _settings(state, watch, url, engine, threads, weights), url)
        try:
            chain.begin()
            yield chain
        finally:
            chain.end()
    finally:
        stop_server(state.root)
        configure_logging(None, "bench", terminal=False)  # lets go of the log file, which goes with the folder


def _settings(
    state: StateFolder, watch: Path, url: str, engine: str, threads: int | None, weights: Path | None
) -> Settings:
    overrides: dict[str, Any] = {
        "state": state.root,
        "server": {"url": url},
        "watch": {
            "folder": watch,
            "layout": "flask-position-time",
            "channel": None,
            "samples": None,
            "settle_s": SETTLE_S,
            "expected_interval_s": 86_400.0,
        },
        "segmenter": {"engine": engine, "threads": threads, "weights": weights and weights.resolve()},
        "predictor": {"model": None},
        "notifier": {"terminal": False, "webhooks": ()},  # simulated alarms are nobody's business
        "clock": {"speed": 1.0, "origin": None, "started": None},
    }
    return load_settings(None, overrides)


@contextmanager
def _without_named_server() -> Iterator[None]:
    """Leave the queue that REDIS_URL names alone: it may be a real installation's."""
    named = os.environ.pop("REDIS_URL", None)
    try:
        yield
    finally:
        if named is not None:
            os.environ["REDIS_URL"] = named
