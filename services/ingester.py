"""The ingester: finds frames, checks them, writes them down and queues them, each once."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from monitor.errors import SettingsError
from monitor.frames.layout import Layout
from monitor.frames.reader import ReadLimits
from monitor.frames.samples import read_samples
from monitor.messages import FlaskSilent, FrameArrived
from services.clock import Clock
from services.ingest.candidates import Admission, Candidates, source_of
from services.ingest.filesystem import filesystem_of, is_network
from services.ingest.scanner import is_candidate, scan
from services.ingest.silence import SilenceWatch
from services.ingest.watcher import Watcher
from services.ledger import Ledger
from services.settings import Settings
from services.transport.backoff import Backoff
from services.transport.bus import Bus
from services.transport.stage import Publication
from services.transport.streams import FRAMES, partition_of, segmented

BATCH = 200
LOOK_S = 0.1
EPOCH_S = 2.0


class Ingester:
    """Runs as one process per watched folder.

    Parameters
    ----------
    settled
        Gives the frame_ids that have a result, for queueing the rest again after the queue was lost.
    """

    def __init__(
        self, settings: Settings, bus: Bus, ledger: Ledger, settled: Callable[[], set[str]], clock: Clock
    ) -> None:
        watch = settings.watch
        self._root = watch.folder.resolve()
        if not self._root.is_dir():
            message = f"watch.folder: {watch.folder} is not a folder; create it or correct --watch"
            raise SettingsError(message, reason="no_folder")
        self._skip = settings.state.resolve()
        self._settings = settings
        self._bus = bus
        self._ledger = ledger
        self._settled = settled
        self._clock = clock
        self._log = structlog.get_logger().bind(stage="ingester")
        network = is_network(self._root)
        admission = Admission(
            root=self._root,
            layout=Layout(watch.layout),
            samples=read_samples(watch.samples) if watch.samples else {},
            pixel_size_um=watch.pixel_size_um,
            limits=ReadLimits(max_bytes=watch.max_frame_bytes),
            settle_s=watch.network_settle_s if network else watch.settle_s,
            deadline_s=watch.deadline_s,
        )
        self._settle_s = admission.settle_s
        self._candidates = Candidates(admission, clock.now)
        self._watcher = Watcher(self._root, watch.observer)
        self._silence = SilenceWatch(watch.expected_interval_s, watch.silent_intervals)
        self._known = ledger.known_files()
        for frame in ledger.frames():
            self._silence.note(frame)
        self._next_scan = self._next_epoch = self._next_beat = self._next_settled = 0.0
        self._series_is_over = False
        self._started = self._last_change = time.monotonic()

    def run(self, stop: threading.Event, *, until_idle_s: float | None = None) -> None:
        """Ingest until `stop` is set, or until a series is over.

        A series is over when nothing changed for `until_idle_s` seconds: from then on no flask is called silent. The
        ingester stays until every frame has its result, so that a queue that is lost meanwhile is still mended.
        """
        backoff = Backoff(self._log, stop, waited=lambda: None)
        consumer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        backoff.persist(lambda: self._bus.subscribe([], "ingester", consumer))
        self._watcher.start()
        if self._watcher.polls:
            kind = filesystem_of(self._root)
            self._log.info("polling", folder=str(self._root), filesystem=kind, every_s=self._settings.watch.poll_s)
        try:
            while not stop.wait(LOOK_S):
                while backoff.persist(self.step) and not stop.is_set():
                    pass
                self._series_is_over = until_idle_s is not None and self.idle_s() >= until_idle_s
                if self._series_is_over and self._all_settled():
                    return
        finally:
            self._watcher.stop()

    def step(self) -> bool:
        """Do one round; True when there is more to do at once. Raises `BackPressure` when the queue refuses."""
        now = time.monotonic()
        if now >= self._next_epoch:
            self._next_epoch = now + EPOCH_S
            self._mend_queue()
        self._take_hints()
        if now >= self._next_scan or self._watcher.overflowed:
            self._watcher.overflowed = False
            self._scan(self._root)
            self._next_scan = time.monotonic() + self._rescan_s()
        busy = self._admit()
        self._announce_silence()
        if now >= self._next_beat:
            self._next_beat = now + self._settings.delivery.beat_s
            status = {"candidates": str(len(self._candidates)), "idle_s": f"{self.idle_s():.1f}"}
            self._bus.beat(status, 3.0 * self._settings.delivery.beat_s)
        return busy

    def _all_settled(self) -> bool:
        """Whether every frame has its result; looked up once in a while, for it reads the whole record."""
        if time.monotonic() < self._next_settled:
            return False
        self._next_settled = time.monotonic() + EPOCH_S
        return not self._ledger.unfinished(self._settled())

    def idle_s(self) -> float:
        """Return for how many seconds nothing was found and nothing was under observation."""
        return 0.0 if len(self._candidates) else time.monotonic() - self._last_change

    def _rescan_s(self) -> float:
        watch = self._settings.watch
        return min(watch.poll_s, watch.rescan_s) if self._watcher.polls else watch.rescan_s

    def _mend_queue(self) -> None:
        """Queue again whatever a lost queue forgot, and what a crash left between ledger and queue."""
        if self._bus.epoch() is None:
            unfinished = self._ledger.unfinished(self._settled())
            self._log.info("queue_is_new", frames_queued_again=len(unfinished))
            self._publish(unfinished)
            self._bus.begin_epoch()
        unqueued = self._ledger.unqueued()
        if unqueued:
            self._publish(unqueued)

    def _take_hints(self) -> None:
        for name in self._watcher.take():
            path = Path(name)
            if path.is_dir() and not path.is_symlink():
                self._scan(path)
            elif path.parent.is_relative_to(self._root):
                self._scan_one(path)

    def _scan(self, folder: Path) -> None:
        if folder.is_relative_to(self._root) and not folder.is_relative_to(self._skip):
            for entry in scan(self._root, folder, self._skip):
                self._consider(Path(entry.path), entry.stat(follow_symlinks=False))

    def _scan_one(self, path: Path) -> None:
        hidden = any(part.startswith(".") for part in path.relative_to(self._root).parts)
        if hidden or path.is_relative_to(self._skip) or not is_candidate(path.name):
            return
        try:
            self._consider(path, path.lstat())
        except OSError:
            return  # gone again; a rename announces the new name

    def _consider(self, path: Path, status: os.stat_result) -> None:
        if self._known.get(source_of(path, self._root)) != (status.st_size, status.st_mtime_ns):
            self._candidates.consider(path, status)

    def _admit(self) -> bool:
        rows = self._candidates.look(BATCH)
        if not rows:
            return False
        self._last_change = time.monotonic()
        stored = self._ledger.add(rows, self._clock.now())
        for row in stored:
            self._known[row.source] = (row.size, row.mtime_ns)
            if row.state == "quarantined":
                self._log.warning("quarantined", source=row.source, reason=row.reason, detail=row.detail)
        arrived = [row.arrived for row in stored if row.state == "arrived" and row.arrived is not None]
        self._publish(sorted(arrived, key=lambda frame: frame.acquired_at))
        for frame in arrived:
            self._silence.note(frame)
        return True

    def _publish(self, frames: list[FrameArrived]) -> None:
        for first in range(0, len(frames), BATCH):
            part = frames[first : first + BATCH]
            self._bus.publish([Publication(FRAMES, f"frame:{frame.frame_id}", frame) for frame in part])
            self._ledger.mark_queued(frame.frame_id for frame in part)

    def _announce_silence(self) -> None:
        too_early = time.monotonic() - self._started < 2.0 * self._settle_s
        if self._series_is_over or too_early or len(self._candidates):
            return
        for silent in self._silence.silent(self._clock.now()):
            self._bus.publish([self._publication(silent)])
            self._log.warning("flask_silent", flask=silent.flask, last=silent.last_acquired_at.isoformat())

    def _publication(self, silent: FlaskSilent) -> Publication:
        stream = segmented(partition_of(silent.flask, self._settings.predictor.partitions))
        return Publication(stream, f"silent:{silent.flask}:{silent.last_frame_id}", silent)
