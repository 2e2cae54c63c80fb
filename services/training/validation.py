"""Who says how good averaged weights are: scores on held-back images, early stopping, the choice of a decode."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from monitor.engine.eager import EagerEngine
from monitor.frames.frame import Frame
from monitor.frames.normalize import normalize
from monitor.frames.resample import pad_to_multiple, resample, restore_labels
from monitor.network.checkpoint import DecodeSettings, ModelCard
from monitor.network.segnet import PLANES, SegmentationNetwork
from monitor.segmentation.labels import instances_of, outlines_with_evidence
from monitor.segmentation.segmenter import Segmentation, Segmenter
from monitor.training.confidence import fit_confidence, overlap
from monitor.training.evaluate import Evaluation, Segment, evaluate
from monitor.training.metrics import Matches, match_instances, score
from monitor.training.sources import LabelledImage
from monitor.training.train import TrainSettings

PERSISTENCES = (0.05, 0.1, 0.2)
BUMPS_UM2 = (0.0, 150.0)
MIN_PEAKS = (0.25, 0.45, 0.6)
"""Decodes to choose from, on training fields."""
MATCHED_IOU = 0.5
"""From here on an outline is the cell that it overlaps."""
PATIENCE = 6
"""Looks without a better score on the held-back fields, after which the run stops."""

Maps = NDArray[np.float32]
"""(K, Y, X) as the network gives them."""


class CurveLog:
    """The curve of a run, one JSON line per report, so that a resumed run goes on with it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def add(self, row: dict[str, float]) -> None:
        """Append a row."""
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")

    def rows(self) -> list[dict[str, float]]:
        """Return all rows in the order of their steps; a half-written last one is left out.

        A killed run goes on from a checkpoint before its last rows and writes them again: the later ones hold.
        """
        if not self._file.exists():
            return []
        rows: list[dict[str, float]] = []
        for line in self._file.read_text(encoding="utf-8").splitlines():
            if line.endswith("}"):
                row = json.loads(line)
                step, kind = row["step"], row.keys()
                rows = [one for one in rows if one["step"] < step or (one["step"] == step and one.keys() != kind)]
                rows.append(row)
        return rows


class Validator:
    """Scores the averaged weights on the held-back fields now and then, and stops a run that gains nothing."""

    def __init__(
        self, settings: TrainSettings, decode: DecodeSettings, held_back: Sequence[LabelledImage], record: CurveLog
    ) -> None:
        self._settings = settings
        self._decode = decode
        self._held_back = held_back
        self._record = record

    def judge(self, step: int, averaged: Mapping[str, Tensor]) -> bool:
        """Return whether the run should go on."""
        if not self._held_back:
            return True
        network = SegmentationNetwork(self._settings.width, self._settings.decoder_channels)
        network.load_state_dict(averaged)
        found = scores(segmenter_of(network, self._settings, self._decode), self._held_back)
        assert found is not None
        self._record.add({"step": step, "ap50": found.cells.ap50, "f1": found.cells.f1})
        looks = [row["ap50"] for row in self._record.rows() if "ap50" in row]
        return len(looks) <= PATIENCE or max(looks[-PATIENCE:]) > max(looks[:-PATIENCE])


def segmenter_of(network: SegmentationNetwork, settings: TrainSettings, decode: DecodeSettings) -> Segmenter:
    """Return a segmenter that runs a network in training."""
    card = ModelCard(
        name="in training", weights="", sha256="", width=settings.width, decoder_channels=settings.decoder_channels,
        pixel_size_um=settings.pixel_size_um, decode=decode, data=[], licence="", scores={}, intended_use="",
        must_not_be_used_for="",
    )  # fmt: skip
    return Segmenter(EagerEngine(network), card)


def masks_of(segmenter: Segmenter) -> Segment:
    """Return a segmenter as the evaluation wants it."""

    def segment(frame: Frame) -> tuple[Any, Any, str | None]:
        (found,) = segmenter.segment([frame])
        if not isinstance(found, Segmentation):
            raise found
        return found.cells, found.nuclei, found.quality.reason

    return segment


def scores(segmenter: Segmenter, fields: Sequence[LabelledImage]) -> Evaluation | None:
    """Score a segmenter on labelled images; None without images."""
    return evaluate(masks_of(segmenter), fields) if fields else None


def choose_decode(
    network: SegmentationNetwork, settings: TrainSettings, decode: DecodeSettings, fields: Sequence[LabelledImage]
) -> DecodeSettings:
    """Return the decode of best AP50 on fields that were trained on; ties go to the lower settings.

    What says which cells are sure holds for the weights that it was learnt on: it is learnt anew, or left out where the
    fields do not suffice.
    """
    decode = decode.model_copy(update={"confidence": None})
    if not fields:
        return decode
    engine = EagerEngine(network)
    choices = [
        decode.model_copy(update={"persistence": persistence, "bump_um2": bump_um2, "min_peak": min_peak})
        for persistence, bump_um2, min_peak in itertools.product(PERSISTENCES, BUMPS_UM2, MIN_PEAKS)
    ]
    every = [_maps_of(engine, image, settings.pixel_size_um) for image in fields]
    matches: list[list[Matches]] = [[] for _ in choices]
    for image, maps in zip(fields, every, strict=True):
        for found, choice in zip(matches, choices, strict=True):
            cells = instances_of(maps, PLANES, choice, settings.pixel_size_um).cells
            cells = restore_labels(cells, (image.cells.shape[0], image.cells.shape[1]))
            found.append(match_instances(image.cells, cells, image.pixels))
    ap50 = [score(found).ap50 for found in matches]
    return with_confidence(choices[ap50.index(max(ap50))], fields, every, settings.pixel_size_um)


def with_confidence(
    decode: DecodeSettings, fields: Sequence[LabelledImage], every: Sequence[Maps], pixel_size_um: float
) -> DecodeSettings:
    """Return a decode that leaves out what is likely no cell, as learnt on fields; as it was where they are too few.

    `decode` leaves nothing out yet; `every` holds the (K, Y, X) maps of each field at the network's scale.
    """
    columns, right, missed = [], [], 0
    for image, maps in zip(fields, every, strict=True):
        cells, seen = outlines_with_evidence(maps, PLANES, decode, pixel_size_um)
        columns.append(seen)
        native = restore_labels(cells, (image.cells.shape[0], image.cells.shape[1]))
        fits = overlap(image.cells, native, len(columns[-1])) >= MATCHED_IOU
        right.append(fits)
        missed += np.unique(image.cells[image.cells > 0]).size - int(fits.sum())
    confidence = fit_confidence(columns, right, missed)
    return decode if confidence is None else decode.model_copy(update={"confidence": confidence})


def _maps_of(engine: EagerEngine, image: LabelledImage, pixel_size_um: float) -> Maps:
    frame = resample(Frame(image.pixels, image.pixel_size_um), pixel_size_um)
    maps = engine(pad_to_multiple(normalize(frame, pixel_size_um))[None, None])[0]
    return np.ascontiguousarray(maps[:, : frame.shape[0], : frame.shape[1]])
