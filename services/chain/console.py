"""What the commands print: live tables on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from monitor.errors import SettingsError
from services.chain.run import RunReport, run
from services.chain.supervisor import Supervisor
from services.clock import Clock, SystemClock
from services.settings import Settings
from services.state_folder import StateFolder, recorded_state
from services.store.fleet import FlaskLine, Fleet, fleet_table
from services.store.ledger import Ledger
from services.store.quarantine_summary import quarantine_summary
from services.store.record_sqlite import SqliteRecord
from services.store.record_view import viewed_record
from services.store.results import result_rows, write_csv
from services.telemetry import configure_logging
from services.transport.signals import install_signals

REDRAW_S = 1.0
PLAIN_S = 10.0


class FleetView:
    """A live table of the fleet on a terminal, or a line now and then where there is none."""

    def __init__(self, state: StateFolder, clock: Clock, title: str) -> None:
        self._state = state
        self._clock = clock
        self._title = title
        self._fleet = Fleet()
        self._console = Console(stderr=False)
        self._live: Live | None = None
        self._due = 0.0
        self._said = ""

    def start(self) -> None:
        """Begin to draw."""
        if self._console.is_terminal:
            self._live = Live(Table(title="starting"), console=self._console, auto_refresh=False)
            self._live.start()

    def tick(self, supervisor: Supervisor) -> None:
        """Draw again when it is time."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + (REDRAW_S if self._live else PLAIN_S)
        if self._live:
            self._live.update(self._table(), refresh=True)
        else:
            lines = self._lines()
            raised = sum(len(line.alarms) for line in lines)
            frames = sum(line.frames for line in lines)
            self._console.print(f"{len(lines)} flasks, {frames} frames estimated, {raised} alarms standing")
            note = self._quarantine_summary()
            if note not in ("", self._said):
                self._console.print(note, markup=False, soft_wrap=True)
            self._said = note

    def stop(self) -> None:
        """Draw a last time and leave the table standing."""
        if self._live:
            self._live.update(self._table(), refresh=True)
            self._live.stop()

    def _table(self) -> Table:
        table = fleet_table(self._lines(), self._clock.now(), self._title)
        table.caption, table.caption_justify = Text(self._quarantine_summary()), "left"
        return table

    def _lines(self) -> list[FlaskLine]:
        with viewed_record(self._state.record) as record:
            return [] if record is None else self._fleet.lines(record)

    def _quarantine_summary(self) -> str:
        if not self._state.ledger.is_file():  # of a run that ended before it began
            return ""
        with Ledger(self._state.ledger, readonly=True) as ledger:
            return quarantine_summary(ledger)


def show_run(settings: Settings, *, until_idle_s: float | None) -> int:
    """Run everything with a live table; return the exit code."""
    if not settings.watch.folder.is_dir():
        message = f"{settings.watch.folder} is not a folder; create it, or name the microscope's with --watch"
        raise SettingsError(message, reason="no_folder")
    state = StateFolder(settings.state)
    state.create()
    if settings.dashboard.enabled:
        from services.dashboard.serve import check_page

        check_page(settings)
    if settings.predictor.model is None:
        from services.demo_model import OF_DEMO

        print(f"no predictor.model is set: {OF_DEMO}")
    configure_logging(state.logs, "run", terminal=False)
    stop = threading.Event()
    install_signals(stop)
    own = settings.dashboard
    page = f"; the page is at {own.scheme}://{own.host}:{own.port}/" if own.enabled else ""
    view = FleetView(state, SystemClock(), f"watching {settings.watch.folder}{page}")
    view.start()
    try:
        report = run(settings, stop, until_idle_s=until_idle_s, tick=view.tick)
    finally:
        view.stop()
    _say(report, state)
    return report.exit_code


def _say(report: RunReport, state: StateFolder) -> None:
    counts = report.completeness
    print(f"frames {counts.ledger}, with a result {counts.results}, waiting {counts.waiting}; kept in {state.root}")
    with Ledger(state.ledger, readonly=True) as ledger:
        if note := quarantine_summary(ledger):
            print(note)
    for name, restarts in report.supervisor.restarts.items():
        if restarts:
            print(f"{name} was restarted {restarts} times; see {state.logs / 'run.jsonl'}")
    for name in report.supervisor.killed:
        print(f"{name} had to be killed; its frames are delivered again at the next start")


def write_results(folder: Path, file: Path) -> None:
    """Write one row per frame as CSV."""
    from services.demo_model import warn_of_demo

    state = recorded_state(folder)
    with Ledger(state.ledger, readonly=True) as ledger, SqliteRecord(state.record, readonly=True) as record:
        warn_of_demo(Console(stderr=True), record.potency_models())
        rows = result_rows(ledger, record)
        if str(file) == "-":
            write_csv(rows, sys.stdout)
            return
        with file.open("w", encoding="utf-8", newline="") as stream:
            written = write_csv(rows, stream)
    print(f"{written} rows in {file}")


def show_status(folder: Path) -> int:
    """Print the fleet, whose model it is, and the workers that are alive."""
    from monitor.errors import BackPressure
    from services.demo_model import warn_of_demo
    from services.transport.redis_streams import RedisBus
    from services.transport.server import server_status

    state = recorded_state(folder)
    console = Console()
    with viewed_record(state.record) as record:
        lines = [] if record is None else Fleet().lines(record)
    console.print(fleet_table(lines, SystemClock().now(), str(state.root)))
    warn_of_demo(console, (line.newest.provenance.potency_model for line in lines if line.newest is not None))
    with Ledger(state.ledger, readonly=True) as ledger:
        if note := quarantine_summary(ledger):
            console.print(note, markup=False, soft_wrap=True)
    server = server_status(state.root)
    if server is None:
        console.print("no queue server is running here: the workers are stopped")
        return 1
    bus = RedisBus(server.url)
    try:
        for name, fields in sorted(bus.statuses().items()):
            console.print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in sorted(fields.items())))
    except BackPressure as error:
        console.print(str(error))
        return 1
    finally:
        bus.close()
    return 0


def write_overlays(folder: Path, out: Path, flask: str | None, every: int) -> int:
    """Draw overlays of segmented frames; return the exit code."""
    from PIL import Image

    from monitor.frames.reader import ReadLimits, read_frame
    from monitor.segmentation.overlay import render_overlay
    from services.settings import settings_of
    from services.transport.file_blobs import FileLabels

    state = recorded_state(folder)
    settings = settings_of(state)
    labels = FileLabels(state.masks)
    written = 0
    out.mkdir(parents=True, exist_ok=True)
    with SqliteRecord(state.record, readonly=True) as record:
        estimates = [e for e in record.estimates(flask) if flask is None or e.key.flask == flask]
        for estimate in estimates[::every]:
            fact = record.segmentation(estimate.frame_id)
            if fact is None:
                continue
            path = settings.watch.folder / fact.frame.source
            frame = read_frame(
                path, root=settings.watch.folder, pixel_size_um=fact.frame.pixel_size_um, limits=ReadLimits()
            )
            picture = render_overlay(frame.pixels, labels.get(fact.cells), labels.get(fact.nuclei))
            name = "_".join((estimate.key.flask, estimate.key.position, estimate.key.time_point))
            safe = "".join(char if char.isalnum() or char in "-_." else "-" for char in name)
            Image.fromarray(picture).save(out / f"{safe}_{estimate.frame_id[:8]}.png")
            written += 1
    print(f"{written} overlays in {out}")
    return 0 if written else 1
