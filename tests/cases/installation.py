"""A whole installation under test: real processes, a real server, a folder of its own."""

import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monitor.messages import PotencyEstimated
from monitor.pipeline import Pipeline, PipelineResult
from monitor.potency.model import load_model
from monitor.segmentation.segmenter import load_segmenter
from services.chain.run import RunReport, run
from services.chain.supervisor import Supervisor
from services.ingest.ingester import ReadLimits
from services.settings import Settings, load_settings
from services.state_folder import StateFolder
from services.store.ledger import Ledger
from services.store.record_sqlite import SqliteRecord
from services.workers.frame_files import FrameFiles


class Installation:
    """Runs `services.chain.run.run` in a thread and lets a test reach into it."""

    def __init__(self, folder: Path, **sections: dict[str, Any]) -> None:
        self.watch = folder / "frames"
        self.watch.mkdir(parents=True)
        quick: dict[str, Any] = {
            "state": folder / "state",
            "watch": {"folder": self.watch, "settle_s": 0.2, "rescan_s": 2.0, "deadline_s": 1.0},
            "delivery": {"beat_s": 0.5, "block_s": 0.1},
            "segmenter": {"threads": 1, "engine": "eager"},
            "notifier": {"terminal": False},
        }
        for name, values in sections.items():
            quick[name] = {**quick.get(name, {}), **values}
        self.settings: Settings = load_settings(None, quick)
        self.state = StateFolder(self.settings.state)
        self.supervisor: Supervisor | None = None
        self.report: RunReport | None = None
        self._stop = threading.Event()

    @contextmanager
    def running(self, until_idle_s: float | None = None) -> Iterator["Installation"]:
        """Run while the block runs, and at its end until everything is through (or stop, without `until_idle_s`)."""
        self._stop.clear()
        thread = threading.Thread(target=self._run, args=(until_idle_s,))
        thread.start()
        try:
            yield self
            if until_idle_s is None:
                self._stop.set()
            thread.join(timeout=400)
            assert not thread.is_alive(), "the run did not end"
        finally:
            self._stop.set()
            thread.join()

    def _run(self, until_idle_s: float | None) -> None:
        def tick(supervisor: Supervisor) -> None:
            self.supervisor = supervisor

        self.report = run(self.settings, self._stop, until_idle_s=until_idle_s, tick=tick)

    def pids(self, kind: str) -> list[int]:
        """Return the process ids of a kind of worker that run now."""
        running = self.supervisor.process_ids() if self.supervisor else {}
        return [pid for name, pid in running.items() if name.startswith(kind)]

    def estimates(self) -> dict[str, PotencyEstimated]:
        with SqliteRecord(self.state.record, readonly=True) as record:
            return {estimate.frame_id: estimate for estimate in record.estimates()}

    def oracle(self) -> PipelineResult:
        """Return what the pipeline in one process makes of the same files."""
        with Ledger(self.state.ledger, readonly=True) as ledger:
            frames = ledger.frames()
        files = FrameFiles(self.watch.resolve(), ReadLimits())
        pipeline = Pipeline(_segmenter(), _model(), self.settings.culture, self.settings.digest)
        return pipeline.run(frames, files.read)


@functools.cache
def _segmenter() -> Any:
    return load_segmenter(threads=1)


@functools.cache
def _model() -> Any:
    return load_model()


def wait_for(condition: Any, timeout_s: float, what: str) -> None:
    """Wait until a condition holds; fail with its name after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain for {what}"
        time.sleep(0.05)


def without_revision(estimate: PotencyEstimated) -> PotencyEstimated:
    """Return an estimate as it counts: how often it was revised on the way does not."""
    return estimate.model_copy(update={"revision": 0})
