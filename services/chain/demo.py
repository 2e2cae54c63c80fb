"""`cellvigil demo`: four simulated flasks through the real chain, at a sped-up clock, with a summary that can fail.

Frames are simulated beforehand and then written into the watched folder as a microscope would, two positions of four
flasks per time point. Everything else is real: the queue server, the workers, files, ledger, record and page.
"""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from monitor.messages import AlarmChanged, AlarmState, Channel
from monitor.potency.bundle import verify_bundle
from monitor.potency.model import DEMO
from monitor.synthetic.culture import START, Culture, CultureSpec, demo_fleet
from services.chain.console import FleetView
from services.chain.replay import write_slowly
from services.chain.run import RunReport, run
from services.clock import lead_clock, make_clock
from services.demo_model import warn_of_demo
from services.settings import Settings, load_settings
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.store.record_view import viewed_record
from services.telemetry import configure_logging
from services.transport.signals import install_signals
from services.whole_file import write_json

TIME_POINT_S = 2.4
"""Wall seconds per simulated hour; two cores segment eight frames in less."""
LOOK_S = 0.1
PAGE_PORT = 8765
QUIET_S = 2.0 * TIME_POINT_S
"""The run ends after two time points without frames: before the third, with which a flask counts as silent."""


@dataclass(frozen=True, slots=True)
class DemoAlarm:
    """An alarm of the demo; frames count the flask's time points from 0; onset is None where nothing was wrong."""

    flask: str
    channel: str
    onset_frame: int | None
    raised_frame: int
    cause: str


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """How the demo ended: frames played, in the ledger, with a result; lost and doubled ones; alarms; seconds."""

    frames_in: int
    ledger: int
    results: int
    lost: int
    doubled: int
    wall_s: float
    alarms: tuple[DemoAlarm, ...]


def show_demo(json_file: Path | None, folder: Path | None, seed: int, *, page: bool = True, stay: bool = False) -> int:
    """Play the demo; return 1 when a frame was lost or doubled, else 0.

    page: serve the operator's page meanwhile; stay: go on after the play, until a signal, with the clock at its
    ordinary speed, so that one can look around and act.
    """
    console = Console(stderr=json_file is not None)
    with _workplace(folder) as place:
        started = time.monotonic()
        fleet = demo_fleet(seed)
        stop = threading.Event()
        install_signals(stop)
        played = _simulate(fleet, place / "staged", console)
        settings = demo_settings(place, page=page or stay)
        _tell_address(settings, console)
        report = _play_and_run(fleet, played, settings, stop, table=json_file is None)
        summary = _summary(fleet, len(played), report, settings, time.monotonic() - started)
        if json_file is not None:
            write_json(json_file, asdict(summary))
        _tell(summary, console, place if folder else None)
        if stay and not stop.is_set():
            _tell_address(settings, console)
            console.print("it stays until Ctrl-C; acknowledge an alarm and see it taken in")
            run(_at_ordinary_speed(settings, fleet[0], played[-1][0]), stop)
    return 1 if summary.lost or summary.doubled else 0


def _simulate(fleet: list[CultureSpec], staged: Path, console: Console) -> list[tuple[int, Path, str]]:
    """Render every frame into a folder; return (time index, file, name in the watched folder) in order of time."""
    jobs = [(spec, position, staged) for spec in fleet for position in spec.positions]
    frames: list[tuple[int, Path, str]] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        work = pool.map(_render, jobs)
        for part in track(work, "simulating", total=len(jobs), console=console, disable=not console.is_terminal):
            frames += part
    return sorted(frames, key=lambda frame: (frame[0], frame[2]))


def _render(job: tuple[CultureSpec, str, Path]) -> list[tuple[int, Path, str]]:
    from services.chain.simulated_file import write_frame

    spec, position, staged = job
    culture = Culture(spec)
    frames = []
    for time_index in range(spec.n_time_points):
        if spec.has_frame(time_index):
            name = f"{spec.flask}/{position}/{culture.acquired_at(time_index):%Y%m%dT%H%M%SZ}.tif"
            file = staged / name
            write_frame(culture.frame(position, time_index), file)
            frames.append((time_index, file, name))
    return frames


def demo_settings(place: Path, *, page: bool = False) -> Settings:
    """Return the settings that the demo is played with in a folder, with or without the page."""
    watch = place / "frames"
    watch.mkdir(parents=True, exist_ok=True)
    speed = demo_fleet()[0].interval_s / TIME_POINT_S
    overrides: dict[str, Any] = {
        "state": place / "state",
        "watch": {"folder": watch, "settle_s": 0.3, "rescan_s": 5.0, "expected_interval_s": 3600.0},
        "delivery": {"beat_s": 1.0, "block_s": 0.2},
        "notifier": {"terminal": False},
        "clock": {"speed": speed, "origin": START, "pace": place / "clock.json"},
        "dashboard": {"enabled": page, "port": _free_port() if page else PAGE_PORT},
    }
    return load_settings(None, overrides)


def _free_port() -> int:
    """Return the page's usual port, or another one where somebody has it."""
    for port in (PAGE_PORT, 0):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = listener.getsockname()[1]
            return found
    return PAGE_PORT


def _at_ordinary_speed(settings: Settings, spec: CultureSpec, last: int) -> Settings:
    """Return settings whose clock goes on from just after the last time point, as if the next were awaited."""
    origin = START + timedelta(seconds=(last + 1) * spec.interval_s)
    more = {"speed": 1.0, "origin": origin, "started": datetime.now(UTC), "pace": None}
    clock = settings.clock.model_copy(update=more)
    return settings.model_copy(update={"clock": clock})


def _tell_address(settings: Settings, console: Console) -> None:
    if settings.dashboard.enabled:
        console.print(f"the page: http://127.0.0.1:{settings.dashboard.port}/")


def _play_and_run(
    fleet: list[CultureSpec],
    played: list[tuple[int, Path, str]],
    settings: Settings,
    stop: threading.Event,
    *,
    table: bool,
) -> RunReport:
    state = StateFolder(settings.state)
    state.create()
    configure_logging(state.logs, "run", terminal=False)
    interval, over = timedelta(seconds=fleet[0].interval_s), threading.Event()
    microscope = threading.Thread(
        target=_microscope, args=(played, settings, interval, (stop, over)), name="microscope"
    )
    view = FleetView(state, make_clock(settings.clock), f"{len(fleet)} simulated flasks, an hour in {TIME_POINT_S} s")
    if table:
        view.start()
    microscope.start()
    try:
        return run(settings, stop, until_idle_s=QUIET_S, tick=view.tick if table else lambda supervisor: None)
    finally:
        over.set()
        microscope.join()
        view.stop()


def _microscope(
    played: list[tuple[int, Path, str]], settings: Settings, interval: timedelta, ends: Sequence[threading.Event]
) -> None:
    """Write the frames of each time point, and lead the clock.

    A time point begins `TIME_POINT_S` after the one before it, or when all frames but the newest time point's have
    their results: on a busy machine the clock waits for the chain, so that no flask grows stale for it.
    """
    pace = settings.clock.pace
    assert pace is not None
    written = 0
    for time_index, frames in groupby(played, key=lambda frame: frame[0]):
        begun = time.monotonic()
        lead_clock(pace, START + time_index * interval, START + (time_index + 1) * interval)
        before = written
        for _, file, name in frames:
            write_slowly(settings.watch.folder / name, file.read_bytes(), pause_s=0.005)
            written += 1
        while _results(settings) < before or time.monotonic() < begun + TIME_POINT_S:
            if any(end.is_set() for end in ends):
                return
            time.sleep(LOOK_S)


def _results(settings: Settings) -> int:
    """Return how many frames have a result."""
    with viewed_record(StateFolder(settings.state).record) as record:
        return 0 if record is None else sum(record.counts())


def _summary(
    fleet: list[CultureSpec], frames_in: int, report: RunReport, settings: Settings, wall_s: float
) -> DemoSummary:
    specs = {spec.flask: spec for spec in fleet}
    with SqliteRecord(settings.state / "record.sqlite3", readonly=True) as record:
        raised = [event for event in record.alarms() if event.state is AlarmState.RAISED]
    return DemoSummary(
        frames_in=frames_in,
        ledger=report.completeness.ledger,
        results=report.completeness.results,
        lost=max(0, frames_in - report.completeness.results),
        doubled=report.doubled,
        wall_s=round(wall_s, 1),
        alarms=tuple(_demo_alarm(event, specs[event.flask]) for event in raised),
    )


def _demo_alarm(event: AlarmChanged, spec: CultureSpec) -> DemoAlarm:
    onsets = {Channel.POTENCY: spec.decline_at, Channel.OPTICS: spec.defocus_at, Channel.ARRIVAL: spec.stop_at}
    raised = int((event.at - START).total_seconds() // spec.interval_s)
    return DemoAlarm(spec.flask, event.channel.value, onsets.get(event.channel), raised, event.cause)


def _tell(summary: DemoSummary, console: Console, kept: Path | None) -> None:
    for alarm in summary.alarms:
        late = (
            "nothing was wrong"
            if alarm.onset_frame is None
            else f"{alarm.raised_frame - alarm.onset_frame} h after onset"
        )
        console.print(f"{alarm.flask}: {alarm.channel} alarm, {late}. {alarm.cause}")
    console.print(
        f"frames in {summary.frames_in}, ledger {summary.ledger}, results {summary.results}, "
        f"lost {summary.lost}, doubled {summary.doubled}, {summary.wall_s:.0f} s"
    )
    warn_of_demo(console, [verify_bundle(DEMO)])
    if kept:
        console.print(f"frames, masks and records are kept in {kept}; `cellvigil overlay --state {kept}/state --out X`")
        console.print(f"the page again: `cellvigil dashboard --state {kept}/state`")


@contextmanager
def _workplace(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="cellvigil-demo-") as place:
        yield Path(place)
