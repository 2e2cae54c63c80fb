"""Simulated frames of any laboratory: the same seed, the same frame; nothing that cannot be seen is taught."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from monitor.synthetic.arrangement import Crowd, Pattern, arranged
from monitor.synthetic.body import Body, Kind, drawn
from monitor.synthetic.camera import Camera, expose, noise_of
from monitor.synthetic.foreign import FOREIGN
from monitor.synthetic.inner import Style, filled
from monitor.synthetic.laboratories import random_laboratory
from monitor.synthetic.scene import Litter, SceneSpec, simulate_scene
from monitor.synthetic.wave_optics import Microscope

QUIET = Litter(0, 0, 0, 0.0)
CROWD = Crowd("single", (("spindle", 0.5), ("stellate", 0.5)), 1500.0, 0.3)
SPEC = SceneSpec((160, 192), 0.9, CROWD, litter=QUIET)
EIGHT = np.ones((3, 3), int)


@pytest.fixture(scope="module")
def scene():
    return simulate_scene(3, SPEC)


def test_the_same_seed_gives_the_same_frame(scene) -> None:
    again, other = simulate_scene(3, SPEC), simulate_scene(4, SPEC)
    for name in ("pixels", "cells", "nuclei", "cells_known", "nuclei_known"):
        assert np.array_equal(getattr(scene, name), getattr(again, name)), name
    assert (scene.pixels != other.pixels).any()


def test_labels_are_compact_and_each_nucleus_lies_in_one_cell(scene) -> None:
    assert scene.pixels.shape == scene.cells.shape == scene.nuclei.shape == (160, 192)
    for labels in (scene.cells, scene.nuclei):
        assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))
        assert labels.max() > 3
    for nucleus in range(1, scene.nuclei.max() + 1):
        homes = np.unique(scene.cells[scene.nuclei == nucleus])
        assert homes.size == 1
        assert homes[0] > 0


def test_cells_are_darker_than_the_floor_in_positive_phase_contrast(scene) -> None:
    dark = scene.pixels[ndimage.binary_erosion(scene.cells > 0, iterations=3)]
    floor = scene.pixels[~ndimage.binary_dilation(scene.cells > 0, iterations=12)]
    assert np.median(dark) < 0.95 * np.median(floor)


def test_what_the_noise_hides_is_not_taught() -> None:
    """A transparent cell in focus in brightfield is not to be seen: unknown, neither a cell nor background."""
    faint = replace(
        SPEC,
        style=Style(peak=0.02),
        microscope=Microscope("brightfield"),
        camera=Camera(photons=300.0, read_noise=0.05),
    )
    hidden = simulate_scene(3, faint)
    plain = simulate_scene(3, SPEC)
    assert plain.cells_known.mean() > 0.98
    assert hidden.cells.max() == 0
    assert hidden.nuclei.max() == 0
    assert not hidden.cells_known[ndimage.binary_erosion(plain.cells > 0)].any()
    assert hidden.cells_known[~ndimage.binary_dilation(plain.cells > 0, iterations=8)].mean() > 0.9


def test_nuclei_without_contrast_are_unknown_where_their_cells_are_known() -> None:
    style = Style(nucleus=0.0, envelope=0.0, nucleoli=0.0, granules=0.0, ruffles=0.0)
    same = simulate_scene(3, replace(SPEC, style=style))
    assert same.cells.max() > 3
    assert same.nuclei_known.sum() < same.cells_known.sum()
    assert same.nuclei.max() < simulate_scene(3, SPEC).nuclei.max()


@pytest.mark.parametrize("kind", ["spindle", "stellate", "flat", "rounded"])
@pytest.mark.parametrize("area", [400.0, 2500.0])
def test_a_body_has_about_its_area_and_lies_within_its_reach(kind: Kind, area: float) -> None:
    areas = []
    for seed in range(12):
        body = Body(kind, 0.0, 0.0, 0.4, area, aspect=4.0 if kind == "spindle" else 1.3, seed=seed)
        axis = np.arange(-body.reach_um, body.reach_um, 0.5)
        inside = drawn(body, axis, axis)
        assert not (inside[0].any() or inside[-1].any() or inside[:, 0].any() or inside[:, -1].any())
        areas.append(inside.sum() * 0.25)
    assert 0.6 * area < np.median(areas) < 1.6 * area


@pytest.mark.parametrize("pattern", ["single", "streams", "islands", "sheet"])
def test_cells_do_not_share_pixels_and_cover_what_was_asked(pattern: Pattern) -> None:
    crowd = Crowd(pattern, (("spindle" if pattern in ("single", "streams") else "flat", 1.0),), 900.0, 0.5)
    taken = np.zeros((300, 300), int)
    for cell in arranged(crowd, taken.shape, 1.0, np.random.default_rng(2)):
        assert cell.own.any()
        assert not (cell.own & ~cell.body).any()
        taken[cell.window] += cell.own
    assert taken.max() == 1
    assert taken.mean() > 0.8 if pattern == "sheet" else 0.3 < taken.mean() < 0.7


def test_overlapping_bodies_add_up_where_that_is_asked() -> None:
    crowd = replace(CROWD, covered=0.7, overlap=0.4)
    cells = arranged(crowd, (300, 300), 1.0, np.random.default_rng(2))
    assert any((cell.body & ~cell.own).sum() > 5 for cell in cells)
    apart = arranged(replace(crowd, overlap=0.0), (300, 300), 1.0, np.random.default_rng(2))
    assert all((cell.body & ~cell.own).sum() < 0.2 * cell.body.sum() for cell in apart)


def test_a_cell_is_thickest_in_the_middle_and_its_nucleus_lies_inside() -> None:
    axis = np.arange(-30.0, 30.0, 0.5)
    body = drawn(Body("flat", 0.0, 0.0, 0.0, 1200.0, seed=1), axis, axis)
    smooth = Style(granules=0.0, ruffles=0.0)
    inner = filled(body, 0.5, smooth, np.random.default_rng(0))
    depth = ndimage.distance_transform_edt(body)
    assert not inner.path[~body].any()
    assert (
        inner.without_nuclei[depth > 0.8 * depth.max()].mean()
        > 2.0 * inner.without_nuclei[(depth > 0) & (depth < 4)].mean()
    )
    assert inner.nuclei.max() == 1
    assert not (inner.nuclei[~body]).any()
    area = (inner.nuclei > 0).sum() * 0.25
    assert 0.5 * smooth.nucleus_um2 < area < 1.6 * smooth.nucleus_um2
    away = ndimage.binary_dilation(inner.nuclei > 0, iterations=6)
    assert np.allclose(inner.path[body & ~away], inner.without_nuclei[body & ~away], rtol=0.25)


def test_the_camera_is_linear_and_exposed_so_that_little_is_saturated() -> None:
    random = np.random.default_rng(0)
    flat = np.ones((200, 200), np.float32)
    camera = Camera(stray=0.0, unevenness=0.0, photons=1e4, read_noise=0.0)
    counts = expose(flat, camera, random)
    assert counts.dtype == np.uint16
    assert abs(counts.mean() / 65_535 - camera.background) < 0.01
    assert abs(counts.std() / counts.mean() / noise_of(camera) - 1.0) < 0.05
    bright = expose(flat * np.linspace(0.5, 6.0, 200, dtype=np.float32), camera, random)
    assert (bright == 65_535).mean() < 0.01
    eight = expose(flat, replace(camera, bits=8, jpeg=70), random)
    assert eight.dtype == np.uint8


def test_stray_light_takes_contrast_away() -> None:
    random = np.random.default_rng(0)
    stripes = np.where(np.arange(200) % 20 < 10, 0.5, 1.0)[None, :].repeat(200, 0).astype(np.float32)
    plain, milky = (
        expose(stripes, Camera(stray=stray, unevenness=0.0, photons=1e6, read_noise=0.0), random).astype(float)
        for stray in (0.0, 1.0)
    )
    assert 0.45 < (np.ptp(np.median(milky, 0)) / milky.max()) / (np.ptp(np.median(plain, 0)) / plain.max()) < 0.55


@pytest.mark.parametrize("seed", range(20))
def test_random_laboratories_stay_within_the_ranges_that_are_stated(seed: int) -> None:
    spec = random_laboratory(seed)
    assert spec == random_laboratory(seed)
    assert 0.6 <= spec.pixel_size_um <= 1.5
    assert 0.25 <= spec.microscope.aperture <= 0.5
    assert 45.0 <= spec.style.nucleus_um2 <= 420.0
    assert all(side % 32 == 0 for side in spec.shape_px)


def test_the_foreign_laboratories_lie_outside_these_ranges() -> None:
    assert len(FOREIGN) == 6
    for name, spec in FOREIGN.items():
        optics, camera = spec.microscope, spec.camera
        outside = [
            not 0.25 <= optics.aperture <= 0.5,
            optics.contrast == "brightfield" and abs(optics.defocus_um) > 14.0,
            camera.stray > 0.6,
        ]
        assert any(outside), name
