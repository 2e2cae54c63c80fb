"""Measuring single frames and setting reports for the page, in a process of its own.

It needs the compiled measures and the potency model, which take seconds to load and hundreds of megabytes; the process
that serves pages stays light, and answers while another frame is measured. It works at a lower priority than the
workers, and is begun anew when it breaks.
"""

import contextlib
import hashlib
import os
import signal
import threading
from collections import OrderedDict
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from monitor.errors import CellvigilError, ModelRefused
from services.dashboard.errors import NotNow
from services.dashboard.pdf import set_as_pdf

WAIT_S = 30.0
KEPT = 24
NICE = 5
TOP, CARRIERS = 5, 12


@dataclass(frozen=True, slots=True)
class Job:
    """One frame to measure: its segmentation as stored, the settings in force as JSON, the state folder.

    features: as they were measured when it came, for words where the picture is gone; None of a frame without.
    """

    fact: str
    settings: str
    state: str
    features: str | None = None


@dataclass(frozen=True, slots=True)
class MeasuredCells:
    """Cells of a frame: by row, id i + 1; values by feature; boxes as rows from, to, columns from, to."""

    shape_px: tuple[int, int]
    centroids_px: list[tuple[float, float]]
    boxes_px: list[tuple[int, int, int, int]]
    whole: list[bool]
    values: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What moved a frame's potency: (feature, sentence, effect) strongest first; cells that carry it with their values.

    reason: why there is none.
    """

    biomarker: str
    model: str
    words: list[tuple[str, str, float]]
    cell_feature: str | None
    carriers: list[tuple[int, float]]
    unit: str
    reason: str | None


class Measurer:
    """Gives out work and keeps the latest results."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._turn = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Future[Any]] = OrderedDict()

    def warm_up(self) -> None:
        """Begin to load what measuring needs, without waiting for it."""
        with contextlib.suppress(BrokenProcessPool), self._turn:
            self._running().submit(_warm_up)

    def cells(self, frame_id: str, job: Job) -> MeasuredCells:
        """Return the cells of a frame.

        Raises
        ------
        NotNow
            It takes longer than `WAIT_S`: ask again.
        CellvigilError
            The frame or its label images cannot be read.
        """
        found: MeasuredCells = self._result((frame_id, "cells"), _cells, job)
        return found

    def explanation(self, frame_id: str, job: Job) -> Explanation:
        """Return why a frame was estimated as it was; raises as `cells`, and `ModelRefused`."""
        found: Explanation = self._result((frame_id, "why"), _explanation, job)
        return found

    def pdf(self, html: str) -> bytes:
        """Return a report as PDF; raises as `cells` and as `set_as_pdf`."""
        made: bytes = self._result((hashlib.sha256(html.encode()).hexdigest(), "pdf"), set_as_pdf, html)
        return made

    def close(self) -> None:
        """End the process."""
        with self._turn:
            pool, self._pool = self._pool, None
            self._kept.clear()
        if pool is not None:
            processes = list(getattr(pool, "_processes", None) or {})
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)

    def _result(self, key: tuple[str, str], work: Any, job: Job | str) -> Any:  # noqa: ANN401 (of the work's own kind)
        try:
            with self._turn:
                future = self._kept.get(key)
                if future is None:
                    future = self._kept[key] = self._running().submit(work, job)
                    while len(self._kept) > KEPT:
                        self._kept.popitem(last=False)
                self._kept.move_to_end(key)
            return future.result(WAIT_S)
        except NotYet:
            message = "this is still being worked on (the first one after a start takes longer); ask again"
            raise NotNow(message, reason="warming_up") from None
        except BrokenProcessPool as error:
            self._forget(key)
            self.close()
            raise NotNow("measuring broke down and begins anew; ask again", reason="measuring") from error
        except CellvigilError:
            self._forget(key)
            raise

    def _forget(self, key: tuple[str, str]) -> None:
        with self._turn:
            self._kept.pop(key, None)

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # a fresh interpreter: threads and sockets of this process are not carried over
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)
        return self._pool


def _begin() -> None:
    from services.transport.signals import follow_parent

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the page ends this process itself
    os.nice(NICE)
    follow_parent()


def _warm_up() -> None:
    import numpy as np

    from monitor.features.featurizer import measure
    from monitor.frames.frame import Frame

    cells, nuclei = np.zeros((96, 96), np.int32), np.zeros((96, 96), np.int32)
    cells[20:60, 20:60], nuclei[35:45, 35:45] = 1, 1
    measure(Frame(pixels=np.full((96, 96), 100, np.uint16), pixel_size_um=1.0), cells, nuclei)


@lru_cache(maxsize=1)
def _model(folder: str | None) -> Any:  # noqa: ANN401 (PotencyModel, whose import is heavy)
    from monitor.potency.model import DEMO, load_live_model

    return load_live_model(Path(folder) if folder else DEMO)


def _settings(job: Job) -> Any:  # noqa: ANN401 (Settings, whose import is heavy)
    from services.settings import Settings

    return Settings.model_validate_json(job.settings)


def _cells(job: Job) -> MeasuredCells:
    from scipy.ndimage import find_objects

    from monitor.features.catalogue import families_for
    from monitor.features.featurizer import measure
    from monitor.frames.reader import ReadLimits
    from monitor.messages import FrameSegmented
    from services.transport.file_blobs import FileLabels
    from services.workers.frame_files import FrameFiles

    settings, fact = _settings(job), FrameSegmented.model_validate_json(job.fact)
    labels = FileLabels(Path(job.state) / "masks")
    limits = ReadLimits(max_bytes=settings.watch.max_frame_bytes)
    frame = FrameFiles(settings.watch.folder.resolve(), limits).read(fact.frame)
    cells = labels.get(fact.cells)
    try:
        families = families_for(_model(_folder(settings)).contract.features)
    except ModelRefused:
        families = ()
    found = measure(frame, cells, labels.get(fact.nuclei), families=families)
    boxes = [
        (0, 0, 0, 0) if box is None else (box[0].start, box[0].stop, box[1].start, box[1].stop)
        for box in find_objects(cells)
    ]
    centroids = found.centroids_um / fact.frame.pixel_size_um
    return MeasuredCells(
        shape_px=(int(cells.shape[0]), int(cells.shape[1])),
        centroids_px=[(round(y, 2), round(x, 2)) for y, x in centroids.tolist()],
        boxes_px=boxes,
        whole=found.whole.tolist(),
        values={name: values.tolist() for name, values in found.cells.items()},
    )


def _explanation(job: Job) -> Explanation:
    import json

    from monitor.messages import FrameSegmented
    from monitor.potency.explain import explain_frame
    from services.potency.explanation import explained, hours_of
    from services.state_folder import StateFolder

    settings, fact = _settings(job), FrameSegmented.model_validate_json(job.fact)
    model = _model(_folder(settings))
    reason, carriers = None, None
    try:
        found = explained(model, settings, StateFolder(Path(job.state)), fact, TOP)
        drivers, carriers = found.drivers, found.carriers
    except CellvigilError as error:
        if job.features is None:
            raise
        drivers = explain_frame(model, json.loads(job.features), hours_of(fact), TOP)
        reason = f"no cells to show: {error}"
    if not drivers:
        reason = "a feature of the model could not be measured on this frame"
    cells = [] if carriers is None else list(zip(carriers.ids.tolist(), carriers.values.tolist(), strict=True))
    of_cells = carriers is not None and carriers.driver.feature.startswith(carriers.cell_feature)
    return Explanation(
        biomarker=model.live_biomarker.spec.name,
        model=model.digest,
        words=[(driver.feature, driver.sentence(), driver.effect) for driver in drivers],
        cell_feature=None if carriers is None else carriers.cell_feature,
        carriers=[(int(cell), float(value)) for cell, value in cells][:CARRIERS],
        unit=carriers.driver.unit if carriers is not None and of_cells else "",
        reason=reason,
    )


def _folder(settings: Any) -> str | None:  # noqa: ANN401 (Settings, whose import is heavy)
    return None if settings.predictor.model is None else str(settings.predictor.model)
