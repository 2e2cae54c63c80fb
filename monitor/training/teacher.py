"""Unlabelled frames as teachers: what a network is sure of in them, and its neighbours in time agree with."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.frames.frame import Frame


@dataclass(frozen=True, slots=True)
class Seen:
    """What a network makes of a frame: cells (Y, X); stain (2, Y, X), its virtual nucleus and cytoplasm in [0, 1].

    reliable is False where the frame fails a quality gate.
    """

    cells: NDArray[np.int32]
    stain: NDArray[np.float32]
    reliable: bool


Look = Callable[[Frame], Seen | None]
"""A network on a frame; None when the frame cannot be segmented at all."""
SURE = 0.85
"""Least mean probability inside a cell that teaches."""
BACKGROUND = 0.1
"""Most probability of a pixel that teaches background."""
SAME_IOU = 0.5
"""Overlap at which a cell counts as found again in the next frame."""


@dataclass(frozen=True, slots=True)
class TaughtFrame:
    """A frame with the labels a network gave it; cells, cells_known (Y, X): known is where they can be relied on."""

    frame: Frame
    cells: NDArray[np.int32]
    cells_known: NDArray[np.bool_]


def teach(look: Look, frames: Sequence[Frame], *, in_sequence: bool) -> list[TaughtFrame]:
    """Label frames with a network (best an averaged one) and say where the labels are to be believed.

    Frames that cannot be relied on teach nothing and are left out. In a sequence of one place, a cell must be found
    again in the frame before or after; a lone frame between failures keeps what it is sure of.
    """
    found = [look(frame) for frame in frames]
    taught = []
    for index, (frame, seen) in enumerate(zip(frames, found, strict=True)):
        if seen is None or not seen.reliable:
            continue
        cells, probability = seen.cells, seen.stain.sum(0)
        sure = _sure(cells, probability)
        beside = [found[near] for near in (index - 1, index + 1) if 0 <= near < len(found)] if in_sequence else []
        others = [
            other.cells for other in beside if other is not None and other.reliable and other.cells.shape == cells.shape
        ]
        if others:
            sure &= np.any([found_again(cells, other) for other in others], axis=0)
        believed = np.where(sure[cells], cells, 0).astype(np.int32)
        known = (believed > 0) | ((cells == 0) & (probability < BACKGROUND))
        taught.append(TaughtFrame(frame, believed, known))
    return taught


def found_again(cells: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return, by label of `cells` (0 included, never True), whether one cell of `other` overlaps it enough."""
    n_cells, n_other = int(cells.max(initial=0)) + 1, int(other.max(initial=0)) + 1
    common = np.bincount(cells.ravel() * np.int64(n_other) + other.ravel(), minlength=n_cells * n_other)
    overlap = common.reshape(n_cells, n_other).astype(np.float64)
    union = overlap.sum(1, keepdims=True) + overlap.sum(0, keepdims=True) - overlap
    iou = (overlap / np.maximum(union, 1.0))[:, 1:]
    again: NDArray[np.bool_] = iou.max(1, initial=0.0) >= SAME_IOU
    again[0] = False
    return again


def _sure(cells: NDArray[np.int32], probability: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return by label whether the network is sure of it; 0, the background, is not."""
    size = np.bincount(cells.ravel())
    mean = np.bincount(cells.ravel(), probability.ravel()) / np.maximum(size, 1)
    sure: NDArray[np.bool_] = mean >= SURE
    sure[0] = False
    return sure


def taught_fraction(taught: Iterable[TaughtFrame]) -> float:
    """Return the share of pixels that teach."""
    known = [frame.cells_known.mean() for frame in taught]
    return float(np.mean(known)) if known else 0.0
