"""`cellvigil run`: all workers of one machine under one supervisor, for as long as it takes."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from monitor.messages import PotencyEstimated
from monitor.potency.bundle import verify_bundle
from monitor.potency.model import DEMO
from monitor.whole_file import write_whole
from services.chain.supervisor import Supervisor, SupervisorReport, WorkerSpec, worker_command
from services.delivery.mqtt import check_paho
from services.settings import Settings
from services.state_folder import StateFolder
from services.store.ledger import Ledger
from services.store.record_sqlite import SqliteRecord
from services.store.results import Completeness, completeness
from services.transport.redis_streams import RedisBus
from services.transport.runner import EXIT_OK
from services.transport.server import ensure_server, server_status, stop_server
from services.transport.streams import ESTIMATES, waiting_in

EXIT_UNFINISHED = 3
"""Stopped while frames were waiting, or a worker had to be killed; nothing is lost, the next run goes on."""
PERIOD_S = 0.2
QUIET_S = 1.0
SERVER_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended: what came in and went out, the workers' fate, and frames that were published twice."""

    completeness: Completeness
    supervisor: SupervisorReport
    doubled: int

    @property
    def exit_code(self) -> int:
        """0 when everything that came in has its result and every worker stopped by itself."""
        clean = self.completeness.waiting == 0 and not self.supervisor.killed
        return EXIT_OK if clean else EXIT_UNFINISHED


def run(
    settings: Settings,
    stop: threading.Event,
    *,
    until_idle_s: float | None = None,
    tick: Callable[[Supervisor], None] = lambda supervisor: None,
) -> RunReport:
    """Run all workers, and the page where it is enabled, until `stop` or until nothing came for `until_idle_s`.

    `tick` is called a few times a second, for a live table.

    Raises
    ------
    ModelRefused
        The potency model is not the one that was released: before anything is started.
    SettingsError
        There are MQTT brokers to tell, and no library that speaks to them.
    """
    verify_bundle(settings.predictor.model or DEMO)
    if settings.notifier.mqtt:
        check_paho()
    state = StateFolder(settings.state.resolve())
    state.create()
    server = ensure_server(state.root, settings.server)
    SqliteRecord(state.record).close()
    Ledger(state.ledger).close()
    config = _effective(settings, state, server.url)
    supervisor = Supervisor(_specs(settings, config, until_idle_s), structlog.get_logger().bind(stage="supervisor"))
    supervisor.start()
    bus = RedisBus(server.url, settings.server.prefix)
    guard = _ServerGuard(settings, state)
    try:
        while not stop.wait(PERIOD_S):
            supervisor.tend()
            if server.owned:
                guard.tend()
            tick(supervisor)
            if supervisor.finished("ingester") and _settled(settings, state, bus):
                break
    finally:
        report = supervisor.stop()
        doubled = _doubled(bus)
        bus.close()
        if server.owned:
            stop_server(state.root)
    with Ledger(state.ledger, readonly=True) as ledger, SqliteRecord(state.record, readonly=True) as record:
        return RunReport(completeness(ledger, record), report, doubled)


class _ServerGuard:
    """Starts the state folder's own queue server again when it died; what was acknowledged is on the disk."""

    def __init__(self, settings: Settings, state: StateFolder) -> None:
        self._settings = settings.server
        self._state = state
        self._due = 0.0
        self._log = structlog.get_logger().bind(stage="supervisor")

    def tend(self) -> None:
        """Look after the server once a second."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + SERVER_LOOK_S
        if server_status(self._state.root) is None:
            self._log.warning("server_died", mend="started again")
            ensure_server(self._state.root, self._settings)


def _specs(settings: Settings, config: Path, until_idle_s: float | None) -> list[WorkerSpec]:
    # the effective settings are in the file; the environment must not overrule what the command line said
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CELLVIGIL__")}

    def spec(name: str, worker: str, *arguments: str) -> WorkerSpec:
        return WorkerSpec(name, worker_command(worker, "--config", str(config), "--follow", *arguments), environment)

    idle = ("--until-idle", str(until_idle_s)) if until_idle_s is not None else ()
    predictors = range(settings.predictor.replicas)
    return [
        spec("ingester", "ingester", *idle),
        *(spec(f"segmenter-{n}", "segmenter") for n in range(settings.segmenter.replicas)),
        *(spec(f"predictor-{n}", "predictor", "--replica", str(n)) for n in predictors),
        spec("notifier", "notifier"),
        *([spec("dashboard", "dashboard")] if settings.dashboard.enabled else []),
    ]


def _effective(settings: Settings, state: StateFolder, server_url: str) -> Path:
    """Write the settings as they are in force, with absolute paths and the server's address, for the workers."""
    whole = settings.model_dump(mode="json")
    whole["state"] = str(state.root)
    whole["watch"]["folder"] = str(settings.watch.folder.resolve())
    whole["server"]["url"] = server_url
    write_whole(state.settings, f"{Settings.model_validate(whole).model_dump_json(indent=1)}\n".encode())
    return state.settings


def _doubled(bus: RedisBus) -> int:
    """Count frames of which the queue holds more than one first estimate."""
    seen: Counter[str] = Counter()
    for payload in bus.history(ESTIMATES):
        estimate = PotencyEstimated.model_validate_json(payload)
        seen[estimate.frame_id] += estimate.revision == 0
    return sum(count > 1 for count in seen.values())


def _settled(settings: Settings, state: StateFolder, bus: RedisBus) -> bool:
    """Whether the queues are empty, every frame has its result, and it stays so for a moment."""
    partitions = settings.predictor.partitions
    if any(waiting_in(bus, partitions).values()):
        return False
    with Ledger(state.ledger, readonly=True) as ledger, SqliteRecord(state.record, readonly=True) as record:
        if completeness(ledger, record).waiting:
            return False
    time.sleep(QUIET_S)
    return not any(waiting_in(bus, partitions).values())
