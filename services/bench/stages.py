"""Where the time of a frame goes: every stage of the chain on the same frames, one frame at a time, in one process."""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.culture.settings import CultureSettings
from monitor.engine.base import DeviceEngine
from monitor.engine.tiled import TiledEngine
from monitor.errors import FrameRejected
from monitor.frames.frame import Frame
from monitor.frames.layout import Layout
from monitor.frames.normalize import normalize
from monitor.frames.reader import ReadLimits, read_frame
from monitor.frames.resample import pad_to_multiple, resample, restore_labels
from monitor.messages import FrameArrived, SegmentedBy
from monitor.network.checkpoint import SHIPPED, ModelCard, read_card
from monitor.pipeline import Masks, measure_frame
from monitor.potency.model import DEMO, PotencyModel, load_model
from monitor.segmentation.quality import QualitySettings, assess
from monitor.segmentation.segmenter import Segmentation, decode, serves_on_device
from services.bench.candidates import Candidate
from services.bench.frames import FrameSource, Staged
from services.bench.plan import BenchPlan
from services.bench.progress import Teller
from services.bench.spread import Spread
from services.ingest.admission import Admission
from services.store.record_sqlite import SqliteRecord
from services.transport.file_blobs import FileLabels
from services.workers.predictor import FlaskFolder

T = TypeVar("T")

NETWORK = "network"
WARM_UP = 2
"""Frames before the first that counts: code is compiled and memory is found."""


class Timed:
    """Collects the times of named stages, in milliseconds."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    def __call__(self, name: str, call: Callable[[], T]) -> T:
        """Return what `call` returns, and note how long it took."""
        started = time.perf_counter()
        found = call()
        self.note(name, 1000.0 * (time.perf_counter() - started))
        return found

    def note(self, name: str, milliseconds: float) -> None:
        """Note a time."""
        self.times.setdefault(name, []).append(milliseconds)


def time_stages(candidate: Candidate, plan: BenchPlan, source: FrameSource, teller: Teller) -> dict[str, Spread]:
    """Return milliseconds per frame by stage, in the order in which a frame meets them; their medians add up to it."""
    card = read_card(plan.weights or SHIPPED)
    way = _OnDevice(candidate, card) if serves_on_device(candidate.name) else _OverCpu(candidate, card)
    timed = Timed()
    with tempfile.TemporaryDirectory(prefix="cellvigil-bench-") as name:
        place = Path(name)
        staged = source.stage(place / "frames", WARM_UP + plan.rounds)
        with SqliteRecord(place / "record.sqlite3") as record, teller.part("stages", len(staged)) as step:
            chain = _Chain(way, place, record, load_model(DEMO))
            for number, one in enumerate(staged):
                step(f"{candidate.engine.name}, one frame at a time")
                chain.run(one, timed if number >= WARM_UP else Timed())
    return {name: Spread.of(values) for name, values in timed.times.items()}


def share_of_network(stages: Mapping[str, Spread]) -> float:
    """Return which part of the sum of the medians is the network."""
    return stages[NETWORK].median / sum(spread.median for spread in stages.values())


class _OverCpu:
    """Every step apart, as the segmenter does them where frames do not stay on a GPU."""

    def __init__(self, candidate: Candidate, card: ModelCard) -> None:
        self._network = TiledEngine(candidate.engine)
        self._segmenter = candidate.segmenter
        self._card = card

    def __call__(self, frame: Frame, timed: Timed) -> Masks:
        card, scale = self._card, self._card.pixel_size_um
        scaled = timed("resample", lambda: resample(frame, scale))
        ready = timed("normalise", lambda: normalize(scaled, scale))
        batch = pad_to_multiple(ready)[None, None]
        rows, columns = ready.shape
        maps = timed(NETWORK, lambda: self._network(batch))[0, :, :rows, :columns]
        found = timed("decode", lambda: decode(maps, card.decode, scale))
        quality = timed("quality", lambda: assess(frame, ready, found, scale, QualitySettings()))
        cells, nuclei = timed(
            "to the frame's grid", lambda: [_on_own_grid(labels, frame) for labels in (found.cells, found.nuclei)]
        )
        return Masks(cells, nuclei, quality, _by(self._segmenter.engine_name, card.sha256))


def _on_own_grid(labels: NDArray[np.int32], frame: Frame) -> NDArray[np.int32]:
    """Return labels on the frame's grid, numbered without gaps: a cell of few pixels can vanish on a coarser one."""
    restored = restore_labels(labels, frame.shape)
    present = np.bincount(restored.ravel()) > 0
    present[0] = False
    numbered: NDArray[np.int32] = np.where(present, np.cumsum(present), 0).astype(np.int32)[restored]
    return numbered


class _OnDevice:
    """Frames stay on the GPU up to their labels: the network's share is timed apart, the rest is what remains."""

    def __init__(self, candidate: Candidate, card: ModelCard) -> None:
        self._engine = candidate.engine
        self._segmenter = candidate.segmenter
        self._card = card

    def __call__(self, frame: Frame, timed: Timed) -> Masks:
        whole_ms, network_ms = [], []
        for _ in range(3):
            started = time.perf_counter()
            (found,) = self._segmenter.segment([frame])
            whole_ms.append(1000.0 * (time.perf_counter() - started))
            network_ms.append(self._network_ms(frame))
        if isinstance(found, FrameRejected):
            raise found
        assert isinstance(found, Segmentation)
        network = statistics.median(network_ms)
        timed.note(NETWORK, network)
        timed.note("the rest on the GPU", max(0.0, statistics.median(whole_ms) - network))
        return Masks(found.cells, found.nuclei, found.quality, _by(self._segmenter.engine_name, self._card.sha256))

    def _network_ms(self, frame: Frame) -> float:
        assert isinstance(self._engine, DeviceEngine)
        scaled = resample(frame, self._card.pixel_size_um)
        ready = pad_to_multiple(scaled.astype(np.float32))[None, None]
        frames = torch.from_numpy(ready).to(self._engine.device)
        _catch_up()
        started = time.perf_counter()
        self._engine.maps_on_device(frames)
        _catch_up()
        return 1000.0 * (time.perf_counter() - started)


def _catch_up() -> None:
    """Wait until the GPU has done what was queued."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class _Chain:
    """Judging the file, reading it, the masks, writing them, measuring, folding and recording."""

    def __init__(self, way: _OverCpu | _OnDevice, place: Path, record: SqliteRecord, model: PotencyModel) -> None:
        self._way = way
        self._root = place / "frames"
        self._record = record
        self._model = model
        self._labels = FileLabels(place / "masks")
        self._culture = CultureSettings()
        self._flasks = FlaskFolder(self._culture)
        self._admission = Admission(
            root=self._root,
            layout=Layout("flask-position-time"),
            samples={},
            pixel_size_um=None,
            limits=ReadLimits(),
            now=lambda: datetime.now(UTC),
        )

    def run(self, staged: Staged, timed: Timed) -> None:
        path = staged.file
        row = timed("judge file", lambda: self._admission.admit(path, path.lstat()))
        arrived = row.arrived
        assert arrived is not None
        frame = timed(
            "read",
            lambda: read_frame(path, root=self._root, pixel_size_um=arrived.pixel_size_um, limits=ReadLimits()),
        )
        masks = self._way(frame, timed)
        timed("write masks", lambda: self._write(arrived, masks))
        measured = timed(
            "measure and estimate",
            lambda: measure_frame(
                arrived, frame, masks, self._model, min_cells=self._culture.min_cells, configuration="bench"
            ),
        )

        def fold() -> None:
            with self._record.flask(measured.flask) as transaction:
                self._flasks.bring_in(measured.flask, measured, transaction)

        timed("fold and record", fold)

    def _write(self, arrived: FrameArrived, masks: Masks) -> None:
        self._labels.put(arrived.frame_id, "cells", masks.cells, arrived.pixel_size_um)
        self._labels.put(arrived.frame_id, "nuclei", masks.nuclei, arrived.pixel_size_um)


def _by(engine: str, weights_digest: str) -> SegmentedBy:
    return SegmentedBy(engine=engine, engine_digest="bench", weights_digest=weights_digest)
