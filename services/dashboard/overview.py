"""How the installation is: who works, what waits, what lies in quarantine, and what made the newest numbers."""

import importlib.metadata
import platform
import shutil
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from monitor import __version__
from monitor.errors import BackPressure, SettingsError
from monitor.messages import MACHINE, SegmentedBy
from services.dashboard.effective_settings import EffectiveSettings
from services.dashboard.queue_connection import queue_of
from services.dashboard.readings import Readings
from services.dashboard.schemas import EngineLine, Health, QueueLine, WorkerLine
from services.dashboard.tiles import tile_alarms
from services.delivery.outbox import Outbox
from services.settings import Settings
from services.state_folder import StateFolder
from services.store.audit import BEGINNING
from services.store.backlog import backlog
from services.store.database import SQLITE_VERSION
from services.store.ledger_view import viewed_ledger
from services.store.record_view import RecordView, viewed_record
from services.store.seal import sealed
from services.transport.bus import Bus
from services.transport.streams import DEAD, waiting_in

GIB = 1 << 30
KEPT_S = 2.0
LAST_ARRIVALS = 20_000
PACKAGES = ("numpy", "torch", "lightgbm", "openvino", "starlette", "uvicorn")
CHAIN_ANEW_S = 600.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What ledger and record hold; lag_s: age of the oldest frame that waits, by the machine's clock."""

    files: dict[str, int]
    waiting: int
    lag_s: float
    per_hour: int
    estimates: int
    failures: int


class Overview:
    """Health, looked up at most every `KEPT_S` seconds however many ask."""

    def __init__(self, state: StateFolder, effective: EffectiveSettings, readings: Readings) -> None:
        self._state, self._effective, self._readings = state, effective, readings
        self._turn = threading.Lock()
        self._kept: tuple[float, Health] | None = None
        self._chain = AuditChain()

    def health(self) -> Health:
        """Return the health of the state folder."""
        with self._turn:
            if self._kept is None or time.monotonic() - self._kept[0] > KEPT_S:
                self._kept = (time.monotonic(), _health(self._state, self._effective, self._readings, self._chain))
            return self._kept[1]


class AuditChain:
    """Checks the audit log as it grows, and all of it anew once in a while."""

    def __init__(self) -> None:
        self._number, self._hash = 0, BEGINNING
        self._broken: int | None = None
        self._began = time.monotonic()

    def check(self, record: RecordView) -> tuple[int | None, int]:
        """Return the first line that does not fit the one before it, and how many lines there are."""
        if time.monotonic() - self._began > CHAIN_ANEW_S:
            self._number, self._hash, self._broken, self._began = 0, BEGINNING, None, time.monotonic()
        for line in record.audit_after(self._number):
            fits = line.number == self._number + 1 and line.hash == sealed(self._hash, line.text)
            if self._broken is None and not fits:
                self._broken = self._number + 1
            self._number, self._hash = line.number, line.hash
        return self._broken, self._number


def counts_of(state: StateFolder, effective: EffectiveSettings) -> Counts:
    """Return what ledger and record hold."""
    with viewed_ledger(state.ledger) as ledger, viewed_record(state.record) as record:
        estimates, failures = (0, 0) if record is None else record.counts()
        if ledger is None:
            return Counts({}, 0, 0.0, 0, estimates, failures)
        waits, now = backlog(ledger, record), effective.clock.now()
        files, per_hour = ledger.counts(), ledger.count_arrived(now - timedelta(hours=1), LAST_ARRIVALS)
    waited_s = 0.0 if waits.oldest is None else (now - waits.oldest).total_seconds()
    lag_s = max(0.0, waited_s / effective.settings.clock.speed)
    return Counts(files, waits.frames, lag_s, per_hour, estimates, failures)


def _health(state: StateFolder, effective: EffectiveSettings, readings: Readings, chain: AuditChain) -> Health:
    counts, settings = counts_of(state, effective), effective.settings
    server, workers, queues, dead = _queue(state, settings)
    with viewed_record(state.record) as record:
        broken, lines = (None, 0) if record is None else chain.check(record)
        engine, digests = _made_by(record)
    return Health(
        now=effective.clock.now(),
        running=any(worker.stage in ("ingester", "segmenter", "predictor") for worker in workers),
        server=server,
        workers=workers,
        queues=queues,
        lag_s=round(counts.lag_s, 1),
        waiting_frames=counts.waiting,
        frames_per_hour=counts.per_hour,
        estimates=counts.estimates,
        failures=counts.failures,
        files=counts.files,
        deliveries=deliveries_of(state),
        dead_letters=dead,
        quarantined=counts.files.get("quarantined", 0),
        engine=engine,
        disk_free_gib=round(free_bytes(state.root) / GIB, 2),
        alarms=tile_alarms(readings.standings(MACHINE)),
        versions=dict(versions()),
        digests={**digests, "settings in force": settings.digest},
        audit_broken_at=broken,
        audit_lines=lines,
    )


def deliveries_of(state: StateFolder) -> dict[str, int]:
    """Return how many notifications wait, were delivered and were given up."""
    try:
        with Outbox(state.outbox, readonly=True) as outbox:
            return {one.value: count for one, count in outbox.summary().items()}
    except SettingsError:
        return {}


def free_bytes(folder: Path) -> int:
    """Return the room on a folder's disk."""
    return shutil.disk_usage(folder if folder.is_dir() else folder.parent).free


@lru_cache(maxsize=1)
def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of what matters."""
    found = [("cellvigil", __version__), ("python", platform.python_version()), ("sqlite", SQLITE_VERSION)]
    for package in PACKAGES:
        try:
            found.append((package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(found)


def _queue(state: StateFolder, settings: Settings) -> tuple[str | None, list[WorkerLine], list[QueueLine], int | None]:
    try:
        with queue_of(state, settings.server) as bus:
            if bus is None:
                return None, [], [], None
            waits = waiting_in(bus, settings.predictor.partitions)
            queues = [QueueLine(stream=name, waiting=count) for name, count in waits.items()]
            return "runs", _workers(bus), queues, bus.waiting(DEAD, "")
    except BackPressure as error:
        return str(error), [], [], None


def _workers(bus: Bus) -> list[WorkerLine]:
    lines = []
    for name, told in bus.statuses().items():
        stage, _, _ = name.partition("/")
        rest = {field: text for field, text in told.items() if field != "state"}
        lines.append(WorkerLine(name=name, stage=stage, state=told.get("state", "running"), told=rest))
    return lines


def _made_by(record: RecordView | None) -> tuple[EngineLine | None, dict[str, str]]:
    """Return what segmented the newest frame, and the digests of what made the newest estimate."""
    if record is None:
        return None, {}
    segmented_, estimate = record.newest("segmentations"), record.newest("estimates")
    engine = None
    if segmented_ is not None:
        engine = EngineLine(
            **{name: segmented_.get(name) for name in SegmentedBy.model_fields},
            frame_id=segmented_["frame"]["frame_id"],
            at=datetime.fromisoformat(segmented_["frame"]["acquired_at"]),
        )
    provenance: dict[str, Any] = {} if estimate is None else estimate["provenance"]
    return engine, {name.replace("_", " "): value for name, value in provenance.items() if isinstance(value, str)}
