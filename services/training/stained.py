"""Images with a nuclear stain, made ready to teach: registered, and read as nuclei and cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.frames.frame import Frame
from monitor.segmentation.segmenter import Segmenter
from monitor.training.metrics import Matches, match_instances, score
from monitor.training.stain import Registration, StainPair, correlation, dyed_cells, moved, register, stained_nuclei
from monitor.training.teacher import Look, teach


@dataclass(frozen=True, slots=True)
class StainedView:
    """One view with what its stain says of it, all planes (Y, X).

    cells is None where neither dye nor network says anything; known planes tell where labels can be relied on; stain is
    the nuclear one, moved onto the image, and covered where it lies.
    """

    name: str
    pixels: NDArray[np.generic]
    nuclei: NDArray[np.int32]
    nuclei_known: NDArray[np.bool_]
    cells: NDArray[np.int32] | None
    cells_known: NDArray[np.bool_]
    stain: NDArray[np.float32]
    covered: NDArray[np.bool_]
    pixel_size_um: float
    shift: Registration


@dataclass(frozen=True, slots=True)
class StainScores:
    """How well virtual nuclei agree with stained ones on held-back views.

    correlation: mean over views, of the virtual nuclear stain with the square root of the real one; f1, precision,
    recall: of nuclei at an IoU of one half, where the stain decides.
    """

    views: int
    nuclei: int
    correlation: float
    f1: float
    precision: float
    recall: float


def view_of(pair: StainPair, look: Look | None) -> StainedView:
    """Register a pair and read its stains; cells come from the dye, else from what the network of `look` is sure of.

    Raises
    ------
    FrameRejected
        `not_registered`, naming the image.
    """
    frame = Frame(pair.pixels, pair.pixel_size_um)
    seen = None if look is None else look(frame)
    shift = register(pair.pixels, pair.nuclear, pair.pixel_size_um, [] if seen is None else list(seen.stain))
    stain, covered = moved(pair.nuclear, shift)
    nuclei, decided = stained_nuclei(stain, pair.pixel_size_um)
    cells, known = _cells(pair, look, frame, shift, nuclei)
    return StainedView(
        name=pair.name,
        pixels=pair.pixels,
        nuclei=nuclei,
        nuclei_known=decided & covered,
        cells=cells,
        cells_known=known & covered,
        stain=stain,
        covered=covered,
        pixel_size_um=pair.pixel_size_um,
        shift=shift,
    )


def _cells(
    pair: StainPair, look: Look | None, frame: Frame, shift: Registration, nuclei: NDArray[np.int32]
) -> tuple[NDArray[np.int32] | None, NDArray[np.bool_]]:
    if pair.dye is not None:
        return dyed_cells(moved(pair.dye, shift)[0], pair.dye_kind, nuclei, pair.pixel_size_um)
    taught = [] if look is None else teach(look, [frame], in_sequence=False)
    if not taught:
        return None, np.zeros(frame.shape, bool)
    return taught[0].cells, taught[0].cells_known


def halves(pair: StainPair) -> tuple[StainPair, StainPair]:
    """Divide a view down the middle, so that a laboratory with one stained view can learn from it and be scored."""
    middle = pair.pixels.shape[1] // 2
    left, right = slice(None, middle), slice(middle, None)
    return tuple(
        StainPair(
            name=f"{pair.name} ({side})",
            pixels=pair.pixels[:, part],
            nuclear=pair.nuclear[:, part],
            dye=None if pair.dye is None else pair.dye[:, part],
            dye_kind=pair.dye_kind,
            pixel_size_um=pair.pixel_size_um,
        )
        for side, part in (("left", left), ("right", right))
    )  # type: ignore[return-value]  # two sides


def stain_scores(segmenter: Segmenter, views: Sequence[StainedView]) -> StainScores | None:
    """Score virtual nuclei against stained ones; None without views."""
    if not views:
        return None
    matches: list[Matches] = []
    agreement: list[float] = []
    for view in views:
        found, virtual = segmenter.segment_and_stain(Frame(view.pixels, view.pixel_size_um))
        agreement.append(correlation(virtual[0], view.stain, view.covered))
        matches.append(match_instances(view.nuclei, _decided(found.nuclei, view)))
    total = score(matches)
    return StainScores(
        views=len(views),
        nuclei=total.true_instances,
        correlation=float(np.mean(agreement)),
        f1=total.f1,
        precision=total.precision,
        recall=total.recall,
    )


def _decided(nuclei: NDArray[np.int32], view: StainedView) -> NDArray[np.int32]:
    """Leave out nuclei most of which lies where the stain does not decide."""
    size = np.bincount(nuclei.ravel())
    judged = np.bincount(nuclei[view.nuclei_known], minlength=size.size)
    kept: NDArray[np.int32] = np.where((judged >= 0.5 * size)[nuclei], nuclei, 0).astype(np.int32)
    return kept
