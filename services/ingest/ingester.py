"""The ingester: finds frames, checks them, writes them down and queues them, each once.

Thin on purpose: watching, scanning, completeness, admission, quarantine, silence and queueing are rooms of
`services.ingest`; the record of all of it is the ledger.
"""

import contextlib
import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog

from monitor.errors import BackPressure, SettingsError
from monitor.frames.layout import Layout
from monitor.frames.reader import ReadLimits
from monitor.frames.samples import read_samples
from monitor.messages import Channel, ConditionObserved
from services.clock import Clock
from services.ingest.admission import Admission
from services.ingest.candidates import Candidates, Patience
from services.ingest.filesystem import filesystem_of, is_network
from services.ingest.finder import Finder
from services.ingest.health import HealthWatch
from services.ingest.publisher import Publisher
from services.ingest.quarantine import Quarantine
from services.ingest.silence import SilenceWatch
from services.settings import Settings
from services.store.ledger import Ledger, Settled
from services.store.ledger_row import LedgerRow
from services.transport.backoff import Backoff
from services.transport.bus import Bus

BATCH = 200
WORK_S = 0.5
"""How long one round may judge files before the rest of the loop has its turn."""
LOOK_S = 0.1
EPOCH_S = 2.0
SILENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What the ingester did since it started, and what it has in hand.

    candidates: files under observation; unready: those of them that stand still and cannot be read; arrived,
    quarantined, duplicate: files decided; quarantine: files in quarantine now; idle_s: seconds without news.
    """

    candidates: int
    unready: int
    arrived: int
    quarantined: int
    duplicate: int
    quarantine: int
    idle_s: float


class Ingester:
    """Runs as one process per watched folder.

    Parameters
    ----------
    settled
        Says which of some frames have a result, for queueing the rest again after the queue was lost.
    clock
        The culture's clock: when frames arrived, and how long a flask is silent. Waiting for files goes by the
        machine's own.
    standing
        Gives the channels of the machine whose alarms stand from before.

    Raises
    ------
    SettingsError
        When the folder is missing, or layout or samples cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        ledger: Ledger,
        settled: Settled,
        clock: Clock,
        log: Any = None,  # noqa: ANN401 (structlog's loggers have no common type)
        standing: Callable[[], Iterable[Channel]] = tuple,
    ) -> None:
        watch = settings.watch
        self._root = watch.folder.resolve()
        if not self._root.is_dir():
            message = f"watch.folder: {watch.folder} is not a folder; create it or correct --watch"
            raise SettingsError(message, reason="no_folder")
        self._settings = settings
        self._bus = bus
        self._ledger = ledger
        self._clock = clock
        self._log = log if log is not None else structlog.get_logger().bind(stage="ingester")
        settle_s = watch.network_settle_s if is_network(self._root) else watch.settle_s
        admission = Admission(
            root=self._root,
            layout=Layout(watch.layout),
            samples=read_samples(watch.samples) if watch.samples else {},
            pixel_size_um=watch.pixel_size_um,
            limits=ReadLimits(max_bytes=watch.max_frame_bytes),
            now=clock.now,
            channel=watch.channel,
        )
        self._candidates = Candidates(admission, Patience(settle_s, watch.deadline_s))
        self._quarantine = Quarantine(self._root, ledger.quarantined())
        # what is in quarantine is judged anew at every start: the settings may be others
        self._finder = Finder(self._root, watch, settings.state.resolve(), self._candidates, ledger.known, self._log)
        self._silence = SilenceWatch(watch.expected_interval_s, watch.silent_intervals, ledger.last_arrivals())
        self._feed = Publisher(bus, ledger, settled, self._log)
        self._decided: Counter[str] = Counter()
        self._next_epoch = self._next_beat = self._next_silence = 0.0
        self._last_change = time.monotonic()
        self._announce_from = self._last_change + settle_s
        self._confirm: float | None = None
        self._settled = settled
        self._health = HealthWatch(settings.health, settings.state, standing())
        self._observed: list[ConditionObserved] = []
        self._next_look = self._last_change + settings.health.look_s
        self._series_is_over = False
        self._next_settled = 0.0

    def run(self, stop: threading.Event, *, until_idle_s: float | None = None, until_settled: bool = False) -> None:
        """Ingest until `stop` is set, or until a series is over: nothing changed for `until_idle_s` seconds.

        Files that stand still unreadable then go to quarantine before their deadline, and no flask is called silent any
        more. With `until_settled` the ingester stays until every frame has its result, so that a queue that is lost
        meanwhile is still mended.
        """
        backoff = Backoff(self._log, stop, waited=self._beat_if_heard)
        consumer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        backoff.persist(lambda: self._bus.subscribe([], "ingester", consumer))
        self._finder.start()
        if self._finder.polls:
            kind = filesystem_of(self._root)
            self._log.info("polling", folder=str(self._root), filesystem=kind, every_s=self._settings.watch.poll_s)
        try:
            while not stop.is_set():
                if not backoff.persist(self.step):
                    stop.wait(LOOK_S)
                self._series_is_over = until_idle_s is not None and self.idle_s() >= until_idle_s
                if self._series_is_over and (not until_settled or self._all_settled()):
                    backoff.persist(lambda: self._decide(self._candidates.conclude()))
                    return
        finally:
            self._finder.stop()

    def step(self) -> bool:
        """Do one round; True when there is more to do at once. Raises `BackPressure` when the queue refuses."""
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + self._settings.delivery.beat_s
            self._beat()
        if now >= self._next_epoch:
            self._next_epoch = now + EPOCH_S
            self._feed.follow()
        self._finder.take_hints(self._quarantine)
        if self._finder.step():
            self._after_scan()
        # the first scan comes to its end before any file is judged, so that a backlog goes by age
        if self._finder.scans_done == 0:
            return True
        more = self._decide(self._candidates.look(BATCH, time.monotonic() + WORK_S))
        self._announce_silence()
        self._look_after()
        return more or self._finder.scanning

    def idle_s(self) -> float:
        """Return for how many seconds nothing was found and nothing was in motion."""
        if self._finder.busy or self._candidates.moving:
            self._last_change = time.monotonic()
        return time.monotonic() - self._last_change

    def idle(self) -> bool:
        """Whether the folder was seen whole and every file in it is decided, or stands still unreadable."""
        return not self._finder.busy and not self._candidates.moving

    def progress(self) -> Progress:
        """Return what was done and what is in hand."""
        candidates, moving = len(self._candidates), self._candidates.moving
        return Progress(
            candidates=candidates,
            unready=candidates - moving,
            arrived=self._decided["arrived"],
            quarantined=self._decided["quarantined"],
            duplicate=self._decided["duplicate"],
            quarantine=len(self._quarantine),
            idle_s=self.idle_s(),
        )

    def _decide(self, rows: list[LedgerRow]) -> bool:
        if not rows:
            return False
        self._last_change = time.monotonic()
        stored = self._ledger.add(rows, self._clock.now())
        for row in stored:
            self._observed += self._health.note(row, self._clock.now())
            self._finder.know(row)
            self._decided[row.state] += 1
            if self._quarantine.note(row):
                self._log.warning("quarantined", source=row.source, reason=row.reason, detail=row.detail)
        arrived = [row.arrived for row in stored if row.state == "arrived" and row.arrived is not None]
        for frame in arrived:
            self._silence.note(frame)
        if arrived:
            self._feed.publish(sorted(arrived, key=lambda frame: (frame.acquired_at, frame.frame_id)))
        return True

    def _after_scan(self) -> None:
        self._finder.consider_again(self._quarantine.curable())
        gone = self._quarantine.gone()
        if gone:
            self._ledger.mark_vanished(gone)
            self._finder.forget(gone)
        self._feed.repeat()

    def _all_settled(self) -> bool:
        """Whether every frame has its result; looked up once in a while."""
        if time.monotonic() < self._next_settled:
            return False
        self._next_settled = time.monotonic() + EPOCH_S
        self._ledger.mark_settled(self._settled)
        return next(self._ledger.unfinished(self._settled), None) is None

    def _announce_silence(self) -> None:
        """Announce silent flasks, after one more scan: a frame may lie there that no event told of."""
        now = time.monotonic()
        if self._series_is_over or now < max(self._next_silence, self._announce_from):
            return
        self._next_silence = now + SILENCE_S
        silent = [s for s in self._silence.silent(self._clock.now()) if not self._candidates.expects(s.flask)]
        if not silent:
            self._confirm = None
        elif self._confirm is None:
            self._confirm = now
            self._finder.scan_soon()
        elif self._finder.scanned_since(self._confirm):
            for silence in silent:
                self._feed.tell(silence, self._settings.predictor.partitions)
                self._silence.told(silence)
                last = silence.last_acquired_at.isoformat()
                self._log.warning("flask_silent", flask=silence.flask, last_acquired_at=last)
            self._confirm = None

    def _look_after(self) -> None:
        """Tell what is in trouble beside the pictures. Raises `BackPressure`."""
        partitions = self._settings.predictor.partitions
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + self._settings.health.look_s
            now = self._clock.now()
            wait_s = self._feed.longest_wait_s(now, partitions) / self._settings.clock.speed
            self._observed += self._health.look(now, wait_s)
        if self._observed:
            self._feed.observe(self._observed, partitions)
            for one in self._observed:
                report = self._log.warning if one.bad else self._log.info
                report("condition", channel=one.channel.value, flask=one.flask, bad=one.bad, what=one.what)
            self._observed = []

    def _beat(self) -> None:
        progress = self.progress()
        status = {
            "candidates": str(progress.candidates),
            "arrived": str(progress.arrived),
            "quarantined": str(progress.quarantined),
            "idle_s": f"{progress.idle_s:.1f}",
        }
        self._bus.beat(status, 3.0 * self._settings.delivery.beat_s)

    def _beat_if_heard(self) -> None:
        with contextlib.suppress(BackPressure):
            self._beat()
