"""Labelled images as laboratories keep them."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from monitor.errors import FrameRejected
from monitor.training.sources import read_labelled, read_labels

RANDOM = np.random.default_rng(5)


def pixels(side: int = 80) -> np.ndarray:
    return RANDOM.integers(100, 4000, (side, side), dtype=np.uint16)


def labels(side: int = 80) -> np.ndarray:
    drawn = np.zeros((side, side), np.uint16)
    drawn[5:25, 5:25] = 1
    drawn[40:60, 30:70] = 7
    return drawn


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("a.tif", "a_cells.tif"),
        ("a_phase.png", "a_instances.png"),
        ("a_image.tif", "a_masks.png"),
        ("images/a.tif", "labels/a.tif"),
        ("well/images/a.png", "well/masks/a.tif"),
    ],
)
def test_pairs_are_found(tmp_path: Path, image: str, label: str) -> None:
    for name, content in ((image, pixels()), (label, labels())):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, content) if path.suffix == ".tif" else Image.fromarray(content).save(path)

    (found,) = read_labelled(tmp_path, 0.5)

    assert found.name == image
    assert found.pixel_size_um == 0.5
    assert sorted(np.unique(found.cells)) == [0, 1, 7]
    assert found.nuclei is None


def test_nuclei_come_along(tmp_path: Path) -> None:
    nuclei = np.zeros((80, 80), np.uint8)
    nuclei[10:15, 10:15] = 1
    tifffile.imwrite(tmp_path / "a.tif", pixels())
    tifffile.imwrite(tmp_path / "a_cells.tif", labels())
    tifffile.imwrite(tmp_path / "a_nuclei.tif", nuclei)

    (found,) = read_labelled(tmp_path, 0.5)

    assert found.nuclei is not None
    assert found.nuclei.sum() == 25


def test_coco_polygons_are_drawn(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", pixels())
    square = {"image_id": 3, "segmentation": [[10, 20, 30, 20, 30, 50, 10, 50]], "iscrowd": 0}
    over = {"image_id": 3, "segmentation": [[20, 30, 60, 30, 60, 40, 20, 40]], "iscrowd": 0}
    crowd = {"image_id": 3, "segmentation": [[0, 0, 5, 0, 5, 5, 0, 5]], "iscrowd": 1}
    content = {"images": [{"id": 3, "file_name": "deep/x.tif"}], "annotations": [square, over, crowd]}
    (tmp_path / "coco.json").write_text(json.dumps(content))

    (found,) = read_labelled(tmp_path, 1.24)

    assert found.cells[35, 25] == 1  # x 25, y 35: the first keeps what both cover
    assert found.cells[35, 50] == 2
    assert found.cells[2, 2] == 0
    assert (found.cells == 1).sum() == 21 * 31  # both edges belong to it


def test_most_takes_the_same_few_each_time(tmp_path: Path) -> None:
    for name in "abcdef":
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels())
        tifffile.imwrite(tmp_path / f"{name}_cells.tif", labels())
    once = [found.name for found in read_labelled(tmp_path, 0.5, most=3)]
    again = [found.name for found in read_labelled(tmp_path, 0.5, most=3)]
    assert once == again
    assert len(once) == 3


def test_a_folder_without_labels_says_how_to_put_them(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels())
    with pytest.raises(FrameRejected, match=r"a_cells\.tif") as refused:
        list(read_labelled(tmp_path, 0.5))
    assert refused.value.reason == "no_labels"


def test_labels_of_another_size_name_the_image(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels())
    tifffile.imwrite(tmp_path / "a_cells.tif", labels(90))
    with pytest.raises(FrameRejected, match=r"a\.tif") as refused:
        list(read_labelled(tmp_path, 0.5))
    assert refused.value.reason == "labels_do_not_fit"


@pytest.mark.parametrize("content", [np.zeros((8, 8), np.float32), np.zeros((3, 8, 8), np.uint8)])
def test_what_is_no_label_image_is_refused(tmp_path: Path, content: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a_cells.tif", content, photometric="minisblack")
    with pytest.raises(FrameRejected) as refused:
        read_labels(tmp_path / "a_cells.tif")
    assert refused.value.reason == "wrong_dtype"


def test_a_damaged_label_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a_cells.tif").write_bytes(b"II*\0 nothing")
    with pytest.raises(FrameRejected):
        read_labels(tmp_path / "a_cells.tif")
