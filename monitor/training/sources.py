"""Labelled images as laboratories keep them: pairs of image and label files, or COCO annotations as LIVECell has.

Pairs lie side by side (`a.tif` with `a_cells.tif`; the endings `_instances`, `_labels` and `_masks` mean the same, and
the image may end in `_phase` or `_image`) or in folders side by side (`images/a.tif` with `labels/a.tif`; `masks` and
`cells` mean the same). A file `a_nuclei.tif`, or one in a folder `nuclei`, labels the nuclei. Label images are whole
numbers, 0 is background.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from skimage.draw import polygon

from monitor.errors import FrameRejected
from monitor.frames.reader import SUFFIXES, ReadLimits, read_frame

CELL_ENDINGS = ("_instances", "_cells", "_labels", "_masks")
NUCLEUS_ENDING = "_nuclei"
IMAGE_ENDINGS = ("", "_phase", "_image")
CELL_FOLDERS = ("labels", "masks", "cells", "instances")
IMAGE_FOLDERS = ("images", "phase")
COCO_MOST_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with its instances.

    name: path below the folder it came from; pixels (Y, X); cells, nuclei (Y, X) int32, 0 background, nuclei None where
    nobody labelled them; pixel_size_um > 0.
    """

    name: str
    pixels: NDArray[np.generic]
    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32] | None
    pixel_size_um: float


def read_labelled(folder: Path, pixel_size_um: float | None, *, most: int | None = None) -> Iterator[LabelledImage]:
    """Yield the labelled images below a folder in the order of their names.

    Parameters
    ----------
    pixel_size_um
        For images that do not say it themselves.
    most
        At most so many, chosen at random with a fixed seed.

    Raises
    ------
    FrameRejected
        `no_labels` when there is nothing labelled; `labels_do_not_fit`, `wrong_dtype` or what `read_frame` raises,
        naming the file.
    """
    wanted: list[tuple[Path, Path | Any]] = [*_pairs(folder), *_coco(folder)]
    if not wanted:
        message = (
            f"{folder} holds no labelled images: put label images beside the images (a.tif with a_cells.tif, or "
            "images/a.tif with labels/a.tif), or a COCO file with its images"
        )
        raise FrameRejected(message, reason="no_labels")
    if most is not None and len(wanted) > most:
        wanted = random.Random(0).sample(wanted, most)
    for image, labels in sorted(wanted, key=lambda pair: str(pair[0])):
        frame = read_frame(image, root=folder, pixel_size_um=pixel_size_um, limits=ReadLimits())
        nuclei: NDArray[np.int32] | None = None
        if isinstance(labels, Path):
            cells = read_labels(labels)
            nucleus_file = _nuclei_of(labels)
            nuclei = read_labels(nucleus_file) if nucleus_file else None
        else:
            cells = _drawn(labels, frame.shape, image.name)
        for found in (cells, nuclei):
            if found is not None and found.shape != frame.shape:
                message = f"{image.name} is {frame.shape} pixels and its labels are {found.shape}; export both anew"
                raise FrameRejected(message, reason="labels_do_not_fit")
        yield LabelledImage(image.relative_to(folder).as_posix(), frame.pixels, cells, nuclei, frame.pixel_size_um)


def read_labels(path: Path) -> NDArray[np.int32]:
    """Read a label image, (Y, X) int32.

    Raises
    ------
    FrameRejected
        `wrong_dtype` when it is no plane of whole numbers.
    """
    try:
        if path.suffix.lower() == ".png":
            with Image.open(path) as image:
                labels = np.asarray(image)
        else:
            labels = np.squeeze(tifffile.imread(path))
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        message = f"{path.name} cannot be read as a label image ({error}); export it as TIFF or PNG"
        raise FrameRejected(message, reason="wrong_dtype") from error
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        message = f"{path.name} is no label image: one plane of whole numbers, 0 for background, is needed"
        raise FrameRejected(message, reason="wrong_dtype")
    return labels.astype(np.int32)


def is_labels(path: Path) -> bool:
    """Return whether a file is, by the ending of its name, a label image and not an image."""
    return path.stem.endswith((*CELL_ENDINGS, NUCLEUS_ENDING))


def _pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    files = {path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()}
    for labels in files:
        image = _image_of(labels, files)
        if image is not None:
            yield image, labels


def _image_of(labels: Path, files: set[Path]) -> Path | None:
    """Return the image that a file labels, None when it is no label image of cells."""
    for ending in CELL_ENDINGS:
        if labels.stem.endswith(ending):
            stem = labels.stem.removesuffix(ending)
            return _first(files, [labels.with_name(stem + name) for name in IMAGE_ENDINGS])
    if labels.parent.name in CELL_FOLDERS:
        around = labels.parent.parent
        return _first(files, [around / name / labels.stem for name in IMAGE_FOLDERS])
    return None


def _first(files: set[Path], stems: list[Path]) -> Path | None:
    candidates = (stem.with_name(stem.name + suffix) for stem in stems for suffix in SUFFIXES)
    return next((path for path in candidates if path in files), None)


def _nuclei_of(labels: Path) -> Path | None:
    stem = labels.stem
    for ending in CELL_ENDINGS:
        stem = stem.removesuffix(ending)
    places = [labels.with_name(stem + NUCLEUS_ENDING), labels.parent.parent / "nuclei" / labels.stem]
    candidates = (place.with_name(place.name + suffix) for place in places for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _coco(folder: Path) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    for file in sorted(folder.rglob("*.json")):
        if file.stat().st_size > COCO_MOST_BYTES:
            continue
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError):
            continue  # some other file
        if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
            continue
        by_image: dict[Any, list[dict[str, Any]]] = {}
        for annotation in content["annotations"]:
            by_image.setdefault(annotation["image_id"], []).append(annotation)
        places = {path.name: path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES}
        for image in content["images"]:
            path = places.get(Path(image["file_name"]).name)
            if path is not None and image["id"] in by_image:
                yield path, by_image[image["id"]]


def _drawn(annotations: list[dict[str, Any]], shape: tuple[int, int], name: str) -> NDArray[np.int32]:
    """Draw COCO annotations as a label image; where two overlap, the first keeps its pixels."""
    labels = np.zeros(shape, np.int32)
    for number, annotation in enumerate(annotations, start=1):
        if annotation.get("iscrowd"):
            continue
        segmentation = annotation["segmentation"]
        if not isinstance(segmentation, list):
            message = f"{name}: its COCO annotation is run-length encoded; export polygons"
            raise FrameRejected(message, reason="unsupported_annotation")
        for ring in segmentation:
            rows, columns = polygon(ring[1::2], ring[0::2], shape)  # type: ignore[no-untyped-call]  # scikit-image
            free = labels[rows, columns] == 0
            labels[rows[free], columns[free]] = number
    return labels
