"""An ingester at work over a real folder, with a queue in memory."""

import io
import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from cases.bad_files import picture, save

from monitor.messages import FlaskSilent, FrameArrived
from services.clock import Clock, SystemClock
from services.ingest.ingester import Ingester, Progress
from services.settings import DeliverySettings, PredictorSettings, Settings, WatchSettings
from services.store.ledger import Ledger
from services.store.ledger_row import LedgerRow
from services.transport.codec import decode
from services.transport.memory import MemoryBus, MemoryQueue
from services.transport.streams import FLASK_EVENTS, FRAMES

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
INTERVAL = timedelta(minutes=15)


class Log:
    """Keeps what was logged, in place of structlog's logger."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    warning = info

    def events(self) -> list[str]:
        return [event for event, _ in self.lines]


class Chain:
    """A watched folder, a queue and a ledger that outlive the ingesters that run over them, one after the other."""

    def __init__(self, home: Path, capacity: int | None = None, **watch: object) -> None:
        self.root = home / "watched"
        self.root.mkdir(exist_ok=True)
        values: dict[str, object] = {"folder": self.root, "settle_s": 0.1, "deadline_s": 0.4, "rescan_s": 60.0}
        self.settings = Settings(
            state=home / "state",
            watch=WatchSettings.model_validate(values | watch),
            delivery=DeliverySettings(beat_s=0.1),
            predictor=PredictorSettings(partitions=1),
        )
        (home / "state").mkdir(exist_ok=True)
        self.queue = MemoryQueue(capacity=capacity)
        self.log = Log()
        self.settled: Set[str] = set()
        self.progress: Progress | None = None
        self.ingester: Ingester  # the one that runs

    @contextmanager
    def running(
        self, clock: Clock | None = None, until_idle_s: float | None = None, *, until_settled: bool = False
    ) -> Iterator[threading.Event]:
        """Run an ingester in a thread of its own; with `until_idle_s` leaving waits for its end."""
        stop = threading.Event()
        failed: list[BaseException] = []

        def work() -> None:
            try:
                with Ledger(self.ledger_path) as ledger:
                    bus = MemoryBus(self.queue)
                    settled = lambda ids: self.settled & set(ids)  # noqa: E731
                    ingester = Ingester(self.settings, bus, ledger, settled, clock or SystemClock(), self.log)
                    self.ingester = ingester
                    started.set()
                    ingester.run(stop, until_idle_s=until_idle_s, until_settled=until_settled)
                    self.progress = ingester.progress()
            except BaseException as error:  # noqa: BLE001 (told to the test below)
                failed.append(error)
                started.set()

        started = threading.Event()
        thread = threading.Thread(target=work)
        thread.start()
        try:
            assert started.wait(20.0)
            yield stop
        finally:
            if until_idle_s is None:
                stop.set()
            thread.join(60.0)
            stop.set()
            thread.join(10.0)
        assert not thread.is_alive() and not failed, failed

    def finish(self, idle_s: float = 0.3) -> None:
        """Run until nothing happens any more."""
        with self.running(until_idle_s=idle_s):
            pass

    @property
    def ledger_path(self) -> Path:
        return self.settings.state / "ledger.sqlite3"

    def rows(self) -> list[LedgerRow]:
        if not self.ledger_path.exists():
            return []
        with Ledger(self.ledger_path) as ledger:
            return list(ledger.rows())

    def states(self) -> dict[str, list[str]]:
        """Return the states of each source, oldest first."""
        found: dict[str, list[str]] = {}
        for row in self.rows():
            found.setdefault(row.source, []).append(row.state)
        return found

    def reasons(self) -> dict[str, str]:
        return {row.source: row.reason for row in self.rows() if row.state == "quarantined"}

    def queued(self) -> list[FrameArrived]:
        """Return the frames in the queue, in the order in which they came."""
        found = [decode(payload) for payload in MemoryBus(self.queue).history(FRAMES.name)]
        frames = [message for message in found if isinstance(message, FrameArrived)]
        assert len(frames) == len(found)
        return frames

    def sources(self) -> list[str]:
        return [frame.source for frame in self.queued()]

    def count(self) -> int:
        """Return how many frames are in the queue."""
        return MemoryBus(self.queue).waiting(FRAMES.name, "segmenter")

    def silences(self) -> list[FlaskSilent]:
        found = [decode(payload) for payload in MemoryBus(self.queue).history(FLASK_EVENTS.stream())]
        return [message for message in found if isinstance(message, FlaskSilent)]


def name_of(flask: str, number: int, position: str = "p1") -> str:
    return f"{flask}/{position}/{START + number * INTERVAL:%Y%m%dT%H%M%SZ}.tif"


def place(path: Path, content: bytes) -> Path:
    """Put a whole file in its place at once, as a good microscope does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
    return path


class Stamp:
    """Makes many different frames out of one quickly: a single pixel holds the number."""

    def __init__(self) -> None:
        self._stream = io.BytesIO()
        save(self._stream, picture(0, np.uint8, (64, 64)))
        self._place = self._stream.seek(0, io.SEEK_END) - 4

    def __call__(self, number: int) -> bytes:
        self._stream.seek(self._place)
        self._stream.write(number.to_bytes(4, "little"))
        return self._stream.getvalue()
