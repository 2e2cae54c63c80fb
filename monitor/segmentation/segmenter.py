"""From frames to label images: resample, normalise, run the network, decode, judge."""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.engine.averaged import EightfoldEngine
from monitor.engine.base import DeviceEngine, SegmentationEngine
from monitor.engine.choice import REFERENCE, make_engine
from monitor.engine.tiled import TiledEngine
from monitor.errors import EngineFailure, FrameRejected
from monitor.frames.frame import Frame
from monitor.frames.hidden import filled, hidden_in, without_hidden
from monitor.frames.normalize import normalize
from monitor.frames.resample import factor_of, pad_to_multiple, resample, restore_labels, restore_map
from monitor.messages import FrameQuality
from monitor.network.checkpoint import SHIPPED, DecodeSettings, ModelCard, load_network
from monitor.network.segnet import PLANES, Map
from monitor.parallel import THREADS
from monitor.segmentation.labels import instances_of
from monitor.segmentation.on_device import LEAST_SIDE_PX, DevicePath, Found
from monitor.segmentation.quality import Decoded, QualitySettings, assess, verdict

DeviceGroup = tuple[tuple[int, ...], str, float]
"""Shape, pixel type and pixel size: what frames of one batch on a device share."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The masks of one frame on its own grid.

    Attributes
    ----------
    cells
        (Y, X) int32, 0 background, ids compact from 1.
    nuclei
        (Y, X) int32, 0 background, ids compact from 1; every nucleus lies within one cell.
    quality
        Whether the frame should be relied on: `passes`, and `reason` where not.
    pixel_size_um
        Side of a square pixel in micrometres.
    """

    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    quality: FrameQuality
    pixel_size_um: float

    @property
    def n_cells(self) -> int:
        """Number of cells, those cut by the border included."""
        return int(self.cells.max(initial=0))

    @property
    def n_nuclei(self) -> int:
        """Number of nuclei."""
        return int(self.nuclei.max(initial=0))


class Segmenter:
    """Segments frames of any size; maps are decoded for the whole frame, so instances have no seams.

    Parameters
    ----------
    engine
        What runs the network.
    card
        Of the weights that the engine runs.
    quality
        Limits of what passes; None is the default.
    on_device
        Normalise, decode and judge where the engine computes, as far as it can and frames go through it whole.
    """

    def __init__(
        self,
        engine: SegmentationEngine,
        card: ModelCard,
        quality: QualitySettings | None = None,
        *,
        on_device: bool = False,
    ) -> None:
        self._engine = engine
        self._card = card
        self._quality = quality or QualitySettings()
        inside = engine.whole(LEAST_SIDE_PX, LEAST_SIDE_PX) if isinstance(engine, TiledEngine) else engine
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="decode")
        self._device_path = DevicePath(inside, card) if on_device and isinstance(inside, DeviceEngine) else None

    @property
    def engine_name(self) -> str:
        """What really runs."""
        return self._engine.name

    @property
    def engine_digest(self) -> str:
        """Digest of engine, precision and libraries, of the way through the device, and of how maps become labels."""
        way = "over the cpu" if self._device_path is None else "on device"
        told = f"{way}|{self._engine.digest}|{self._card.decode.model_dump_json()}"
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def weights_digest(self) -> str:
        """sha256 of the weights."""
        return self._card.sha256

    @property
    def pixel_size_um(self) -> float:
        """Scale at which the network looks at frames."""
        return self._card.pixel_size_um

    def warm_up(self) -> None:
        """Run network and decoding once."""
        self._engine.warm_up()
        noise = np.random.default_rng(0).normal(100.0, 5.0, (256, 256)).astype(np.float32)
        self.segment([Frame(noise, self._card.pixel_size_um)])

    def segment(self, frames: Sequence[Frame]) -> list[Segmentation | FrameRejected]:
        """Return masks, or the reason why there are none, for each frame in order.

        Frames of one size at the network's scale share a batch; a bad frame never touches its neighbours. What a field
        stop, a scale bar or text hides (`monitor.frames.hidden`) is filled first and carries no cells.

        Parameters
        ----------
        frames
            Of any sizes and pixel sizes.

        Returns
        -------
        list of Segmentation or FrameRejected
            One for each frame.
        """
        hidden = list(self._threads.map(hidden_in, [frame.pixels for frame in frames]))
        seen = [frame if where is None else filled(frame, where) for frame, where in zip(frames, hidden, strict=True)]
        return [
            found if where is None or isinstance(found, FrameRejected) else _without(found, where)
            for found, where in zip(self._found(seen), hidden, strict=True)
        ]

    def _found(self, frames: Sequence[Frame]) -> list[Segmentation | FrameRejected]:
        results: list[Segmentation | FrameRejected | None] = [None] * len(frames)
        for index, segmentation in self._through_device(frames):
            results[index] = segmentation
        left = [index for index, found in enumerate(results) if found is None]
        for index, found in self._over_the_cpu([frames[index] for index in left]):
            results[left[index]] = found
        return [result for result in results if result is not None]

    def segment_and_stain(self, frame: Frame) -> tuple[Segmentation, NDArray[np.float32]]:
        """Return the masks of a frame and its virtual stains.

        Parameters
        ----------
        frame
            One frame.

        Returns
        -------
        tuple of Segmentation and array
            Stains are (2, Y, X) float32 in [0, 1]: nucleus, and cytoplasm without nucleus; their sum is the cell. They
            are the network's probabilities, not intensities: they say where, not how much.

        Raises
        ------
        FrameRejected
            As `segment` returns it.
        """
        hidden = hidden_in(frame.pixels)
        seen = frame if hidden is None else filled(frame, hidden)
        ready = self._ready(seen)
        if isinstance(ready, FrameRejected):
            raise ready
        (maps,) = self._maps([ready])
        cell, nucleus = (restore_map(_sigmoid(maps[plane]), frame.shape) for plane in (Map.CELL, Map.NUCLEUS))
        found = self._decoded(seen, ready, maps)
        return found if hidden is None else _without(found, hidden), np.stack([nucleus * cell, cell * (1.0 - nucleus)])

    def _over_the_cpu(self, frames: Sequence[Frame]) -> Iterator[tuple[int, Segmentation | FrameRejected]]:
        """Yield what was found in each frame; threads normalise and decode while the network is at the next group."""
        shapes: dict[tuple[int, ...], list[tuple[int, NDArray[np.float32]]]] = defaultdict(list)
        for index, ready in enumerate(self._threads.map(self._ready, frames)):
            if isinstance(ready, FrameRejected):
                yield index, ready
            else:
                shapes[ready.shape].append((index, ready))
        size = self._engine.batch_size
        groups = [some[first : first + size] for some in shapes.values() for first in range(0, len(some), size)]
        decoding: deque[tuple[int, Future[Segmentation]]] = deque()
        for group in groups:
            while len(decoding) > len(group):  # maps are large: those of two groups are the most that is held
                index, found = decoding.popleft()
                yield index, found.result()
            maps = self._maps([ready for _, ready in group])
            for (index, ready), planes in zip(group, maps, strict=True):
                decoding.append((index, self._threads.submit(self._decoded, frames[index], ready, planes)))
        for index, found in decoding:
            yield index, found.result()

    def _ready(self, frame: Frame) -> NDArray[np.float32] | FrameRejected:
        try:
            return normalize(resample(frame, self._card.pixel_size_um), self._card.pixel_size_um)
        except FrameRejected as error:
            return error

    def _maps(self, ready: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Run a group; on a device that gives up, halve the group down to single frames."""
        rows, columns = ready[0].shape
        batch = np.stack([pad_to_multiple(frame) for frame in ready])[:, None]
        try:
            maps = self._engine(batch)
        except EngineFailure:
            if len(ready) == 1:
                raise
            half = len(ready) // 2
            return self._maps(ready[:half]) + self._maps(ready[half:])
        return [frame[:, :rows, :columns] for frame in maps]

    def _through_device(self, frames: Sequence[Frame]) -> Iterator[tuple[int, Segmentation]]:
        """Yield the frames that went through the device; the others are left for the way over the CPU."""
        if self._device_path is None:
            return
        alike: dict[DeviceGroup, list[int]] = defaultdict(list)
        for index, frame in enumerate(frames):
            if self._fits_device(frame):
                alike[frame.shape, frame.pixels.dtype.str, frame.pixel_size_um].append(index)
        size = self._engine.batch_size
        groups = [some[first : first + size] for some in alike.values() for first in range(0, len(some), size)]
        try:
            every = self._device_path.run([[frames[index] for index in group] for group in groups])
            judging: list[tuple[int, Future[Segmentation]]] = []
            for group, found in zip(groups, every, strict=True):
                before, judging = (
                    judging,
                    [
                        (index, self._threads.submit(self._judged, frames[index], one))
                        for index, one in zip(group, found, strict=True)
                    ],
                )
                for index, judged in before:
                    yield index, judged.result()
            for index, judged in judging:
                yield index, judged.result()
        except EngineFailure:
            return  # memory ran out: what is left goes over the CPU, in halves

    def _fits_device(self, frame: Frame) -> bool:
        factor = factor_of(frame, self._card.pixel_size_um)
        sides = [round(length * factor) for length in frame.shape]
        whole = not isinstance(self._engine, TiledEngine) or self._engine.whole(*sides) is not None
        finite = not np.issubdtype(frame.pixels.dtype, np.floating) or bool(np.isfinite(frame.pixels).all())
        return whole and finite and min(*sides, *frame.shape) >= LEAST_SIDE_PX

    def _judged(self, frame: Frame, found: Found) -> Segmentation:
        quality = verdict(found.cells, found.nuclei, self._card.pixel_size_um, self._quality, **found.measures)
        cells, nuclei = (_compact(restore_labels(labels, frame.shape)) for labels in (found.cells, found.nuclei))
        return Segmentation(cells, nuclei, quality, frame.pixel_size_um)

    def _decoded(self, frame: Frame, ready: NDArray[np.float32], maps: NDArray[np.float32]) -> Segmentation:
        scale = self._card.pixel_size_um
        found = decode(maps, self._card.decode, scale)
        quality = assess(frame, ready, found, scale, self._quality)
        cells = restore_labels(found.cells, frame.shape)
        nuclei = restore_labels(found.nuclei, frame.shape)
        return Segmentation(_compact(cells), _compact(nuclei), quality, frame.pixel_size_um)


def _without(found: Segmentation, hidden: NDArray[np.bool_]) -> Segmentation:
    """Return masks without what lies in hidden parts, and the confluency of what is left of the frame."""
    cells, nuclei = without_hidden(found.cells, found.nuclei, hidden)
    covered = float((cells > 0)[~hidden].mean())
    quality = found.quality.model_copy(update={"confluency": covered})
    return replace(found, cells=_compact(cells), nuclei=_compact(nuclei), quality=quality)


def decode(maps: NDArray[np.float32], settings: DecodeSettings, pixel_size_um: float) -> Decoded:
    """Return labels and probabilities of (K, Y, X) maps at the network's scale."""
    found = instances_of(maps, PLANES, settings, pixel_size_um)
    cell, boundary = _sigmoid(maps[Map.CELL]), _sigmoid(maps[Map.BOUNDARY])
    return Decoded(cell, maps[Map.CELL_CENTRE], boundary, found.cells, found.nuclei, found.outlined)


def load_segmenter(
    weights: Path | None = None, *, threads: int | None = None, tta: bool = False, engine: str = "eager"
) -> Segmenter:
    """Return a segmenter with the shipped weights, or those of another card.

    `tta` averages over mirrored and turned copies of each frame: steadier outlines for eight times the work. `engine`
    is one of `monitor.engine.choice.ENGINES`; it is taken as it is, see `monitor.parity` for the gate.

    Raises
    ------
    ModelRefused
        See `load_network`.
    EngineFailure
        The engine cannot run here, and why.
    """
    network, card = load_network(weights or SHIPPED)
    tiled = TiledEngine(make_engine(engine, network, card.sha256, threads=threads))
    if tta:
        return Segmenter(EightfoldEngine(tiled), card)
    return Segmenter(tiled, card, on_device=serves_on_device(engine))


def serves_on_device(engine: str) -> bool:
    """Return whether an engine's frames stay on its device here: on a GPU, except with the reference engine."""
    return engine != REFERENCE and torch.cuda.is_available()


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    one = np.float32(1.0)
    probability: NDArray[np.float32] = one / (one + np.exp(-np.clip(logits, -20.0, 20.0)))
    return probability


def _compact(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return labels numbered from 1 without gaps: a cell of few pixels can vanish on a coarser grid."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = False
    names = np.where(present, np.cumsum(present), 0).astype(np.int32)
    compacted: NDArray[np.int32] = names[labels]
    return compacted
