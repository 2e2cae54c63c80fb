"""The segmenter worker: frames in, label images and their references out.

Thin on purpose: reading lives in `monitor.frames`, the masks in `monitor.segmentation`, delivery in the runner.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from monitor.errors import CellvigilError, FrameRejected
from monitor.frames.frame import Frame
from monitor.messages import FrameArrived, FrameSegmented
from monitor.pipeline import segmented_by
from services.store.record import Record
from services.transport.blobs import LabelStore
from services.transport.stage import Done, Outcome, Publication, Reject, Retry
from services.transport.streams import FLASK_EVENTS, FRAMES
from services.workers.frame_files import FrameFiles

if TYPE_CHECKING:
    from monitor.parity import Chosen
    from monitor.segmentation.segmenter import Segmentation

READ_AHEAD_THREADS = 2
"""One thread decodes 14 to several hundred 4-megapixel frames a second; two keep ahead of any network on a CPU."""


class SegmenterStage:
    """Segments frames in batches across flasks, decoding the next batch while the present one is computed.

    Parameters
    ----------
    frames
        The watched folder.
    record, labels
        Where facts and label images are stored before anything is published.
    load
        Chooses the segmenter; called once, in `warm_up`.
    partitions
        Number of predictor streams that flasks are spread over.
    """

    name = FRAMES.group

    def __init__(
        self,
        *,
        frames: FrameFiles,
        record: Record,
        labels: LabelStore,
        load: "Callable[[], Chosen]",
        partitions: int,
    ) -> None:
        self._frames = frames
        self._record = record
        self._labels = labels
        self._load = load
        self._partitions = partitions
        self._chosen: Chosen | None = None
        self._readers = ThreadPoolExecutor(READ_AHEAD_THREADS, thread_name_prefix="read-ahead")
        self._ahead: dict[str, Future[Frame]] = {}

    def warm_up(self) -> None:
        """Choose an engine, load the network and run it once."""
        self._chosen = self._load()
        self._chosen.segmenter.warm_up()

    def describe(self) -> dict[str, str]:
        """Say which engine serves, how it agrees with the reference, and which were refused."""
        return {} if self._chosen is None else {"engine": self._chosen.why}

    def prefetch(self, batch: Sequence[FrameArrived]) -> None:
        """Start to read the frames that come next."""
        for arrived in batch:
            if arrived.frame_id not in self._ahead:
                self._ahead[arrived.frame_id] = self._readers.submit(self._frames.read, arrived)

    def process(self, batch: Sequence[FrameArrived]) -> list[Outcome]:
        """Return one outcome per frame: masks stored and published, try again, or rejected with its reason.

        A frame that was delivered twice into one batch is segmented once.
        """
        known = {arrived.frame_id: self._record.segmentation(arrived.frame_id) for arrived in batch}
        fresh = list({one.frame_id: one for one in batch if known[one.frame_id] is None}.values())
        self.prefetch(fresh)
        outcomes: dict[str, Outcome] = {}
        for frame_id, fact in known.items():
            if fact is not None:
                self._ahead.pop(frame_id, None)
                outcomes[frame_id] = self._done(fact)
        frames: list[tuple[FrameArrived, Frame]] = []
        for arrived in fresh:
            loaded = self._loaded(arrived)
            if isinstance(loaded, Frame):
                frames.append((arrived, loaded))
            else:
                outcomes[arrived.frame_id] = _failure(loaded)
        outcomes.update(self._segment(frames))
        return [outcomes[arrived.frame_id] for arrived in batch]

    def close(self) -> None:
        """Stop the reading threads."""
        self._readers.shutdown(wait=True, cancel_futures=True)

    def _segment(self, frames: list[tuple[FrameArrived, Frame]]) -> dict[str, Outcome]:
        if self._chosen is None:
            raise RuntimeError("warm_up was not called")
        if not frames:
            return {}
        results = self._chosen.segmenter.segment([frame for _, frame in frames])
        outcomes: dict[str, Outcome] = {}
        facts: list[FrameSegmented] = []
        for (arrived, _), result in zip(frames, results, strict=True):
            if isinstance(result, FrameRejected):
                outcomes[arrived.frame_id] = Reject(result)
            else:
                facts.append(self._store(arrived, result))
        self._record.put_segmentations(facts)
        return outcomes | {fact.frame_id: self._done(fact) for fact in facts}

    def _store(self, arrived: FrameArrived, result: "Segmentation") -> FrameSegmented:
        assert self._chosen is not None
        return FrameSegmented(
            frame=arrived,
            cells=self._labels.put(arrived.frame_id, "cells", result.cells, arrived.pixel_size_um),
            nuclei=self._labels.put(arrived.frame_id, "nuclei", result.nuclei, arrived.pixel_size_um),
            n_cells=result.n_cells,
            n_nuclei=result.n_nuclei,
            quality=result.quality,
            **segmented_by(self._chosen.segmenter, self._chosen.parity).fields(),
        )

    def _done(self, fact: FrameSegmented) -> Done:
        stream = FLASK_EVENTS.stream(fact.frame.key.flask, self._partitions)
        return Done((Publication(stream, f"segmented:{fact.frame_id}", fact),))

    def _loaded(self, arrived: FrameArrived) -> Frame | CellvigilError:
        try:
            return self._ahead.pop(arrived.frame_id).result()
        except CellvigilError as error:
            return error


def _failure(error: CellvigilError) -> Outcome:
    return Retry(error) if error.retryable else Reject(error)
