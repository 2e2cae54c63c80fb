"""Scores of a segmenter on labelled images: totals, a row per field, and the worst fields for a look."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.errors import FrameRejected
from monitor.frames.frame import Frame
from monitor.training.metrics import Matches, Scores, joint_rate, match_instances, score
from monitor.training.sources import LabelledImage

Segment = Callable[[Frame], "tuple[NDArray[np.int32], NDArray[np.int32], str | None]"]
"""Frame to cells, nuclei and why its quality failed, None when it did not."""


@dataclass(frozen=True, slots=True)
class FieldScore:
    """One field: its matches, its quality verdict, and joint cell and nucleus rate where nuclei were labelled."""

    name: str
    cells: Matches
    nuclei: Matches | None
    joint: float | None
    doubt: str | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of all fields together and each field's own; nuclei None where no field labels them.

    worst: the fields of lowest AP50, worst first, each with the cells that were found on it.
    """

    cells: Scores
    nuclei: Scores | None
    joint: float | None
    fields: tuple[FieldScore, ...]
    worst: tuple[tuple[LabelledImage, NDArray[np.int32]], ...]


def evaluate(
    segment: Segment, images: Iterable[LabelledImage], *, worst: int = 4, ignore_bright: bool = True
) -> Evaluation:
    """Segment every image and score it.

    Parameters
    ----------
    worst
        Number of worst fields to keep.
    ignore_bright
        Leave out predictions on bright rounded cells that nobody annotated; see `match_instances`.
    """
    fields: list[FieldScore] = []
    kept: list[tuple[float, LabelledImage, NDArray[np.int32]]] = []
    for image in images:
        try:
            cells, nuclei, doubt = segment(Frame(image.pixels, image.pixel_size_um))
        except FrameRejected as error:
            cells, nuclei, doubt = np.zeros_like(image.cells), np.zeros_like(image.cells), error.reason
        matches = match_instances(image.cells, cells, image.pixels if ignore_bright else None)
        inner = match_instances(image.nuclei, nuclei) if image.nuclei is not None else None
        joint = joint_rate(image.cells, image.nuclei, cells, nuclei) if image.nuclei is not None else None
        fields.append(FieldScore(image.name, matches, inner, joint, doubt))
        kept = sorted([*kept, (matches.ap50, image, cells)], key=lambda field: field[0])[:worst]
    joints = [field.joint for field in fields if field.joint is not None]
    nucleus_matches = [field.nuclei for field in fields if field.nuclei is not None]
    return Evaluation(
        cells=score(field.cells for field in fields),
        nuclei=score(nucleus_matches) if nucleus_matches else None,
        joint=float(np.mean(joints)) if joints else None,
        fields=tuple(fields),
        worst=tuple((image, cells) for _, image, cells in kept),
    )
