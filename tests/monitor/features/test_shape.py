"""Shapes with known answers, scikit-image where definitions agree, and what must not change them."""

import math

import numpy as np
import pytest
from skimage.measure import label as connected
from skimage.measure import regionprops

from monitor.features.shape import Shapes, measure_shapes


def ellipse(a: float, b: float, angle: float = 0.0, side: int = 256, centre: tuple[float, float] = (0.0, 0.0)):
    """Label image of an ellipse with half axes a and b px, its centre off the middle of the image by `centre`."""
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2.0
    y, x = y - centre[0], x - centre[1]
    along = x * math.cos(angle) + y * math.sin(angle)
    across = -x * math.sin(angle) + y * math.cos(angle)
    return ((along / a) ** 2 + (across / b) ** 2 <= 1.0).astype(np.int32)


def rectangle(rows: int, columns: int, side: int = 128) -> np.ndarray:
    labels = np.zeros((side, side), np.int32)
    labels[20 : 20 + rows, 30 : 30 + columns] = 1
    return labels


def blobs(seed: int, side: int = 200) -> np.ndarray:
    """Return touching, ragged instances with holes, numbered from 1."""
    random = np.random.default_rng(seed)
    coarse = random.random((side // 10, side // 10)) > 0.45
    mask = np.kron(coarse, np.ones((10, 10), bool)) & (random.random((side, side)) > 0.03)
    parts = connected(mask, connectivity=1)
    # cut into stripes, so that instances touch; both steps keep every instance in one piece
    labels = connected(np.where(mask, parts * 4 + (np.arange(side) // 50)[None, :], 0), background=0, connectivity=1)
    return labels.astype(np.int32)


@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.3, -0.7)])
@pytest.mark.parametrize("radius", [12.0, 40.0, 90.0])
def test_disc(radius: float, centre: tuple[float, float]) -> None:
    disc = measure_shapes(ellipse(radius, radius, centre=centre))
    assert disc.area[0] == pytest.approx(math.pi * radius**2, rel=0.01)
    assert disc.perimeter[0] == pytest.approx(2.0 * math.pi * radius, rel=0.02)
    assert disc.perimeter_chain[0] == pytest.approx(2.0 * math.pi * radius, rel=0.06)
    assert disc.max_feret[0] == pytest.approx(2.0 * radius, abs=1.5)
    assert disc.min_feret[0] == pytest.approx(2.0 * radius, abs=1.5)
    assert disc.major_axis[0] == pytest.approx(2.0 * radius, rel=0.015)
    assert disc.minor_axis[0] == pytest.approx(2.0 * radius, rel=0.015)
    assert disc.area[0] / disc.hull_area[0] == pytest.approx(1.0, abs=0.05)
    assert disc.centroid_y[0] == pytest.approx(127.5 + centre[0], abs=0.05)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 4, 1.3, math.pi / 2])
def test_ellipse_at_any_angle(angle: float) -> None:
    a, b = 80.0, 25.0
    found = measure_shapes(ellipse(a, b, angle))
    around = math.pi * (3 * (a + b) - math.sqrt((3 * a + b) * (a + 3 * b)))  # Ramanujan 1914
    assert found.area[0] == pytest.approx(math.pi * a * b, rel=0.005)
    assert found.perimeter[0] == pytest.approx(around, rel=0.03)
    assert found.major_axis[0] == pytest.approx(2 * a, rel=0.005)
    assert found.minor_axis[0] == pytest.approx(2 * b, rel=0.005)
    assert found.max_feret[0] == pytest.approx(2 * a, abs=1.5)
    assert found.min_feret[0] == pytest.approx(2 * b, abs=1.5)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 30), (40, 3), (60, 60), (20, 70)])
def test_rectangle(rows: int, columns: int) -> None:
    found = measure_shapes(rectangle(rows, columns))
    assert found.area[0] == rows * columns
    assert found.hull_area[0] == pytest.approx(rows * columns)
    assert found.box_area[0] == rows * columns
    assert found.max_feret[0] == pytest.approx(math.hypot(rows, columns))
    assert found.min_feret[0] == pytest.approx(min(rows, columns))
    assert found.major_axis[0] == pytest.approx(4 * math.sqrt((max(rows, columns) ** 2 - 1) / 12), abs=1e-6)
    assert not found.touches_border[0]


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_scikit_image(seed: int) -> None:
    labels = blobs(seed)
    found = measure_shapes(labels)
    regions = regionprops(labels)
    assert len(regions) == len(found.area) > 20
    for index, region in enumerate(regions):
        expected = {
            "area": region.area,
            "centroid_y": region.centroid[0],
            "centroid_x": region.centroid[1],
            "perimeter": region.perimeter_crofton,
            "perimeter_chain": region.perimeter,
            "major_axis": region.axis_major_length,
            "minor_axis": region.axis_minor_length,
            "box_area": region.area_bbox,
        }
        got = {name: getattr(found, name)[index] for name in expected}
        assert got == pytest.approx(expected, rel=1e-6, abs=1e-3 if region.axis_minor_length < 0.01 else 1e-6)


def test_crofton_of_scikit_image_sees_each_instance_alone() -> None:
    whole = np.zeros((60, 60), np.int32)
    whole[10:50, 10:30], whole[10:50, 30:50] = 1, 2
    alone = np.where(whole == 1, 1, 0).astype(np.int32)
    assert measure_shapes(whole).perimeter[0] == pytest.approx(measure_shapes(alone).perimeter[0])
    assert measure_shapes(whole).perimeter_chain[0] == pytest.approx(measure_shapes(alone).perimeter_chain[0])


SCALARS = [name for name in Shapes.__slots__ if not name.startswith("centroid")]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_change_nothing(turns: int) -> None:
    labels = blobs(7)
    upright, turned = measure_shapes(labels), measure_shapes(np.ascontiguousarray(np.rot90(labels, turns)))
    for name in SCALARS:
        np.testing.assert_allclose(getattr(turned, name), getattr(upright, name), rtol=1e-9, atol=1e-4)


@pytest.mark.parametrize("name", ["perimeter", "perimeter_chain", "max_feret", "min_feret", "major_axis"])
def test_finer_pixels_change_lengths_by_the_grid_only(name: str) -> None:
    coarse, fine = measure_shapes(ellipse(36, 14, 0.3)), measure_shapes(ellipse(108, 42, 0.3))
    assert getattr(fine, name)[0] / 3.0 == pytest.approx(getattr(coarse, name)[0], rel=0.02, abs=1.5)


def test_a_shift_changes_nothing() -> None:
    here = measure_shapes(ellipse(30, 12, 0.5))
    there = measure_shapes(np.roll(ellipse(30, 12, 0.5), (-60, 41), (0, 1)))
    for name in SCALARS:
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), rtol=1e-6)
    assert there.centroid_y[0] == pytest.approx(here.centroid_y[0] - 60)
    assert there.centroid_x[0] == pytest.approx(here.centroid_x[0] + 41)


@pytest.mark.parametrize("place", [np.s_[0, 5], np.s_[19, 5], np.s_[5, 0], np.s_[5, 19]])
def test_cells_cut_by_the_border_are_told(place: tuple[int, int]) -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[place], labels[10, 10] = 1, 2
    assert measure_shapes(labels).touches_border.tolist() == [True, False]


def test_nothing_to_measure() -> None:
    assert all(len(getattr(measure_shapes(np.zeros((30, 40), np.int32)), name)) == 0 for name in Shapes.__slots__)
