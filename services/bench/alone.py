"""One stage of the chain by itself, in this process and without a queue: what the whole chain is held against."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from monitor.culture.settings import CultureSettings
from monitor.frames.layout import Layout
from monitor.frames.reader import ReadLimits
from monitor.messages import FrameArrived, FrameSegmented
from monitor.parity import Chosen
from monitor.potency.model import DEMO, load_model
from services.bench.frames import Staged
from services.ingest.admission import Admission
from services.store.record_sqlite import SqliteRecord
from services.transport.file_blobs import FileLabels
from services.transport.stage import Done, Outcome
from services.workers.frame_files import FrameFiles
from services.workers.predictor import PredictorStage
from services.workers.segmenter import SegmenterStage

T = TypeVar("T")

PARTITIONS = 4


class StagesAlone:
    """Ingester, segmenter and predictor stage, each run on all frames before the next begins.

    Parameters
    ----------
    place
        An empty folder for record and label images.
    chosen
        The segmenter, with the engine and threads that the chain's has.
    batch
        Frames of a batch, as in the settings of the workers.
    """

    def __init__(self, place: Path, chosen: Chosen, batch: int) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._batch = batch
        self._record = SqliteRecord(place / "record.sqlite3")
        self._labels = FileLabels(place / "masks")
        self._chosen = chosen
        self._model = load_model(DEMO)

    def frames_per_s(self, staged: Sequence[Staged], root: Path) -> dict[str, float]:
        """Return frames per second of each stage on frames below `root`, which it has not seen before."""
        files = FrameFiles(root, ReadLimits())
        admission = Admission(
            root=root,
            layout=Layout("flask-position-time"),
            samples={},
            pixel_size_um=None,
            limits=ReadLimits(),
            now=lambda: datetime.now(UTC),
        )
        started = time.perf_counter()
        rows = [admission.admit(frame.file, frame.file.lstat()) for frame in staged]
        seconds = {"ingester": time.perf_counter() - started}
        arrived = [row.arrived for row in rows if row.arrived is not None]
        segmented, seconds["segmenter"] = self._segment(files, arrived)
        seconds["predictor"] = self._predict(files, segmented)
        return {name: len(staged) / value for name, value in seconds.items()}

    def close(self) -> None:
        """Close the record."""
        self._record.close()

    def _segment(self, files: FrameFiles, arrived: Sequence[FrameArrived]) -> tuple[list[FrameSegmented], float]:
        stage = SegmenterStage(
            frames=files,
            record=self._record,
            labels=self._labels,
            load=lambda: self._chosen,
            partitions=PARTITIONS,
        )
        stage.warm_up()
        outcomes: list[Outcome] = []
        batches = _batches(arrived, self._batch)
        started = time.perf_counter()
        for number, batch in enumerate(batches):
            stage.prefetch(batch)
            for following in batches[number + 1 : number + 2]:
                stage.prefetch(following)
            outcomes += stage.process(batch)
        seconds = time.perf_counter() - started
        stage.close()
        done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
        messages = [output.message for outcome in done for output in outcome.outputs]
        return [message for message in messages if isinstance(message, FrameSegmented)], seconds

    def _predict(self, files: FrameFiles, segmented: Sequence[FrameSegmented]) -> float:
        stage = PredictorStage(
            frames=files,
            record=self._record,
            labels=self._labels,
            load=lambda: self._model,
            culture=CultureSettings(),
            configuration="bench",
        )
        stage.warm_up()
        started = time.perf_counter()
        for batch in _batches(segmented, self._batch):
            stage.process(batch)
        return time.perf_counter() - started


def _batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[first : first + size] for first in range(0, len(items), size)]
