"""Label images of a frame: from the segmenter, or from files that were written before."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import FrameRejected
from monitor.frames.frame import Frame
from monitor.messages import FrameQuality
from monitor.segmentation.quality import QualitySettings, saturated_fraction, unevenness, verdict
from monitor.segmentation.segmenter import Segmentation, Segmenter
from monitor.training.sources import read_labels
from services.tables.sources import Source

UNJUDGED = ("focus", "doubt", "debris_fraction")
"""What of a frame's quality only the network can say."""


@dataclass(frozen=True, slots=True)
class Masks:
    """cells, nuclei: (Y, X) int32, ids from 1 without gaps; names: (N,) int64, the ids as the label image has them.

    unjudged: fields of `quality` that are not known.
    """

    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    names: NDArray[np.int64]
    quality: FrameQuality
    unjudged: tuple[str, ...] = ()


Masking = Callable[[Source, Frame], Masks]


def by_segmenter(segmenter: Segmenter) -> Masking:
    """Return what segments a frame; it raises FrameRejected for one that cannot be."""

    def masks(source: Source, frame: Frame) -> Masks:
        (found,) = segmenter.segment([frame])
        if not isinstance(found, Segmentation):
            raise found
        return Masks(found.cells, found.nuclei, np.arange(1, found.n_cells + 1), found.quality)

    return masks


def from_folder(folder: Path, sources: Sequence[Source]) -> Masking:
    """Return what reads `<stem>_cells.tif` and, where there is one, `<stem>_nuclei.tif`.

    They lie in `folder` as the image lies below its own, or in `folder` itself where no other image has the name.

    Raises
    ------
    FrameRejected
        `no_labels`, `same_name`, `labels_do_not_fit`, or as `read_labels`; by what is returned, naming the file.
    """
    twice = {stem for stem, count in Counter(source.path.stem for source in sources).items() if count > 1}

    def masks(source: Source, frame: Frame) -> Masks:
        file = _cells_file(folder, source, twice)
        labels = read_labels(file)
        nucleus_file = file.with_name(f"{source.path.stem}_nuclei.tif")
        nuclei = read_labels(nucleus_file) if nucleus_file.is_file() else np.zeros_like(labels)
        for name, plane in ((file, labels), (nucleus_file, nuclei)):
            if plane.shape != frame.shape:
                message = f"{name} is {plane.shape} pixels and the image {frame.shape}; segment the image anew"
                raise FrameRejected(message, reason="labels_do_not_fit")
            if plane.min(initial=0) < 0:
                raise FrameRejected(
                    f"{name} holds negative labels; export it with 0 as background", reason="wrong_dtype"
                )
        cells, names = _numbered(labels)
        inside = _within(nuclei, cells)
        return Masks(cells, inside, names, _quality(frame, cells, inside), UNJUDGED)

    return masks


def _cells_file(folder: Path, source: Source, twice: set[str]) -> Path:
    name = f"{source.path.stem}_cells.tif"
    beside = folder / source.path.parent.relative_to(source.root) / name
    if beside.is_file():
        return beside
    flat = folder / name
    if not flat.is_file():
        message = f"there is no {flat}; make it with `cellvigil segment`, or leave --labels out to segment now"
        raise FrameRejected(message, reason="no_labels")
    if source.path.stem in twice:
        message = f"several images have the name of {flat}; put label images into folders as the images are"
        raise FrameRejected(message, reason="same_name")
    return flat


def _numbered(labels: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return a label image with ids from 1 without gaps, and the id that each had."""
    present = np.flatnonzero(np.bincount(labels.ravel()))
    names = present[present > 0]
    number = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
    number[names] = np.arange(1, len(names) + 1)
    return number[labels], names


def _within(nuclei: NDArray[np.int32], cells: NDArray[np.int32]) -> NDArray[np.int32]:
    """Cut nuclei at the outlines of cells, so that each lies within one."""
    both = np.where((nuclei > 0) & (cells > 0), nuclei.astype(np.int64) * (int(cells.max(initial=0)) + 1) + cells, 0)
    found, number = np.unique(both, return_inverse=True)
    shift = 0 if found[0] == 0 else 1
    return (number.reshape(both.shape) + shift).astype(np.int32)


def _quality(frame: Frame, cells: NDArray[np.int32], nuclei: NDArray[np.int32]) -> FrameQuality:
    settings = QualitySettings()
    return verdict(
        cells,
        nuclei,
        frame.pixel_size_um,
        settings,
        focus=settings.min_focus,
        illumination=unevenness(frame.pixels, frame.pixel_size_um),
        saturated_fraction=saturated_fraction(frame.pixels),
        confluency=float((cells > 0).mean()),
        doubt=0.0,
        debris_fraction=0.0,
    )
