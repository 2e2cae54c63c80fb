"""Discs, ellipses, rectangles and stars anywhere on the grid and at any angle, against their true measures."""

import math

import numpy as np
import pytest
from cases.drawn_shapes import Ellipse, Rectangle, Star, draw

from monitor.features.featurizer import measure
from monitor.frames.frame import Frame

FAMILIES = ("shape", "radii", "curvature")
SHAPES = (Star(25.0), Star(12.0), Ellipse(40.0, 12.0), Rectangle(60.0, 24.0), Star(30.0, depth=0.25))
PLACES = [(0.0, (0.0, 0.0)), (0.37, (0.31, -0.22)), (0.8, (-0.4, 0.13)), (1.31, (0.08, 0.45))]

TOLERANCE = {
    # share of the true value, and um per um of pixel size
    "area": (0.015, 0.0),
    "perimeter": (0.07, 0.0),  # Crofton's formula in four directions is exact on average, 5 % off along the axes
    "max_feret": (0.0, 1.2),
    "min_feret": (0.0, 1.5),  # of pixel corners, so that stairs add about a pixel
    "major_axis": (0.015, 0.0),
    "minor_axis": (0.015, 0.0),
    "aspect_ratio": (0.015, 0.0),
    "eccentricity": (0.005, 0.0),
    "form_factor": (0.03, 0.0),
    "compactness": (0.025, 0.0),
    "max_radius": (0.0, 1.3),  # the deepest point lies between pixels
    "mean_radius": (0.0, 0.5),
    "max_centroid_distance": (0.0, 0.7),
    "mean_centroid_distance": (0.01, 0.0),
    "median_centroid_distance": (0.01, 0.0),
}


def measured(shape: Star | Ellipse | Rectangle, size: float, centre: tuple[float, float] = (60.0, 60.0)) -> dict:
    labels = draw(shape.holds, size, centre_um=centre)
    frame = Frame(np.full(labels.shape, 1000, np.uint16), size)
    cells = measure(frame, labels, np.zeros_like(labels), families=FAMILIES).cells
    assert labels.max() == 1
    return {name: float(column[0]) for name, column in cells.items()}


@pytest.mark.parametrize("size", [0.3, 0.65, 1.1])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__ + str(int(max(vars(shape).values()))))
def test_measures_are_those_of_the_shape(shape: Star | Ellipse | Rectangle, size: float) -> None:
    checked = 0
    # along the axes a rectangle is as wide as whole pixels are, which test_shape.py holds exactly
    for angle, (off_y, off_x) in PLACES[1:] if isinstance(shape, Rectangle) else PLACES:
        turned = type(shape)(**(vars(shape) | {"angle": angle}))
        found = measured(turned, size, (60.0 + off_y * size, 60.0 + off_x * size))
        for name, true in turned.truth().items():
            if name in TOLERANCE:
                share, pixels = TOLERANCE[name]
                assert found[name] == pytest.approx(true, abs=share * true + pixels * size), (name, angle)
                checked += 1
    assert checked >= 20


@pytest.mark.parametrize("size", [0.3, 0.65, 1.1])
def test_the_radii_of_a_disc(size: float) -> None:
    found = measured(Star(30.0), size)
    assert found["max_radius"] == pytest.approx(30.0, abs=1.3 * size)
    assert found["mean_radius"] == pytest.approx(30.0 / 3.0, abs=0.5 * size)
    assert found["median_radius"] == pytest.approx(30.0 * (1.0 - math.sqrt(0.5)), abs=0.5 * size)


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.6])
@pytest.mark.parametrize(("size", "share"), [(0.3, 0.04), (0.65, 0.05), (1.1, 0.08)])
def test_how_far_a_star_curves_inwards(angle: float, size: float, share: float) -> None:
    star = Star(30.0, depth=0.25, angle=angle)
    assert measured(star, size)["mean_negative_curvature"] == pytest.approx(
        star.truth()["mean_negative_curvature"], rel=share
    )


@pytest.mark.parametrize("shape", [Star(25.0), Star(12.0, angle=0.4), Ellipse(40.0, 12.0, 0.5), Ellipse(40.0, 12.0)])
@pytest.mark.parametrize("size", [0.3, 0.65, 1.1])
def test_a_convex_shape_hardly_curves_inwards(shape: Star | Ellipse, size: float) -> None:
    assert measured(shape, size)["mean_negative_curvature"] < 0.003  # of a star with five points: 0.036


@pytest.mark.parametrize(("size", "share"), [(0.3, 0.05), (0.65, 0.16)])
@pytest.mark.parametrize("shape", [Star(25.0), Star(12.0), Ellipse(40.0, 12.0, 0.5)])
def test_bending_energy_is_that_of_the_outline(shape: Star | Ellipse, size: float, share: float) -> None:
    assert measured(shape, size)["bending_energy"] == pytest.approx(shape.truth()["bending_energy"], rel=share)


def test_an_outline_too_short_to_smooth_has_no_curvature() -> None:
    found = measured(Rectangle(1.0, 1.0), 1.0, (60.5, 60.5))
    assert math.isnan(found["mean_negative_curvature"])
    assert math.isnan(found["bending_energy"])
    assert found["max_radius"] == 0.5
    assert found["mean_centroid_distance"] == pytest.approx(0.5)


def test_rotation_by_quarter_turns_changes_nothing_and_others_little() -> None:
    labels = draw(Star(30.0, depth=0.25, angle=0.2).holds, 0.65)
    rows = []
    for turns in range(4):
        turned = np.ascontiguousarray(np.rot90(labels, turns))
        frame = Frame(np.full(turned.shape, 1000, np.uint16), 0.65)
        rows.append(measure(frame, turned, np.zeros_like(turned), families=FAMILIES).cells)
    for name, column in rows[0].items():
        if np.isfinite(column[0]):
            np.testing.assert_allclose([row[name][0] for row in rows[1:]], column[0], rtol=1e-9, err_msg=name)
    at_angles = [measured(Star(30.0, depth=0.25, angle=angle), 0.65) for angle in np.linspace(0.0, 1.2, 7)]
    for name in ("mean_negative_curvature", "mean_centroid_distance", "mean_radius", "compactness", "area"):
        values = [row[name] for row in at_angles]
        assert max(values) / min(values) < 1.06, name


def test_a_shift_changes_nothing() -> None:
    here = measured(Star(20.0, depth=0.2, angle=0.2), 0.5)
    there = measured(Star(20.0, depth=0.2, angle=0.2), 0.5, (60.0 + 7 * 0.5, 60.0 - 12 * 0.5))
    for name, value in here.items():
        if math.isfinite(value):
            assert there[name] == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize("name", ["max_radius", "mean_centroid_distance", "mean_negative_curvature", "compactness"])
def test_micrometres_stay_when_pixels_become_finer(name: str) -> None:
    star = Star(30.0, depth=0.25, angle=0.3)
    sizes = {size: measured(star, size)[name] for size in (0.3, 0.65, 1.0)}
    assert max(sizes.values()) / min(sizes.values()) < 1.08, sizes
