"""Simulated frames: the same seed, the same frame; labels lie where the cells are; sizes are those that were asked."""

from dataclasses import replace

import numpy as np
import pytest
from cases.phantoms import phantom
from scipy import ndimage

from monitor.frames.normalize import normalize
from monitor.synthetic.cell_shape import CellShape, draw_cell, half_axes_um
from monitor.synthetic.optics import Optics, expose
from monitor.synthetic.phantom import (
    MIN_VISIBLE_PX,
    Debris,
    PhantomSpec,
    cell_of,
    grow_population,
    random_spec,
    simulate_frame,
)

EIGHT = np.ones((3, 3), int)
QUIET = Debris(0, 0)


def cell(**chosen: float) -> CellShape:
    values = {
        "y_um": 100.0, "x_um": 100.0, "angle": 0.4, "area_um2": 1900.0, "aspect": 3.0, "taper": 1.8, "bend": 0.0,
        "ruffle": 0.12, "nuclei": 1, "nucleus_area_um2": 190.0, "thickness": 1.0, "seed": 5,
    }  # fmt: skip
    return CellShape(**(values | chosen))  # type: ignore[arg-type]


def alone(shape: CellShape, *, pixel_size_um: float = 1.0, optics: Optics | None = None, side_um: float = 200.0):
    side = round(side_um / pixel_size_um)
    return simulate_frame(
        0, spec=PhantomSpec((side, side), pixel_size_um, (shape,), QUIET, optics or Optics(unevenness=0.0))
    )


def test_the_same_seed_gives_the_same_frame() -> None:
    spec = replace(random_spec(4), shape_px=(256, 256))
    first, again, other = (simulate_frame(seed, spec=spec) for seed in (4, 4, 5))
    assert (first.pixels == again.pixels).all()
    assert (first.cells == again.cells).all()
    assert (first.nuclei == again.nuclei).all()
    # another seed is another exposure of the same cells
    assert (first.pixels != other.pixels).any()
    assert (first.cells == other.cells).all()


def test_a_frame_without_a_spec_is_drawn_from_its_seed() -> None:
    first, again = simulate_frame(2), simulate_frame(2)
    assert first.spec == again.spec == random_spec(2)
    assert (first.pixels == again.pixels).all()


@pytest.mark.parametrize("seed", range(12))
def test_random_specs_stay_in_the_ranges_of_real_microscopes(seed: int) -> None:
    spec = random_spec(seed)
    assert spec.shape_px[0] % 32 == 0
    assert 256 <= spec.shape_px[0] <= 640
    assert 0.6 <= spec.pixel_size_um <= 1.5
    assert 0.15 <= spec.optics.contrast <= 1.1
    assert spec.optics.polarity in (-1, 1)
    assert 0.0 <= spec.optics.unevenness <= 0.6
    assert 2000.0 <= spec.optics.background_counts <= 20000.0
    assert spec.cells
    assert all(100.0 < found.area_um2 < 40000.0 for found in spec.cells)
    assert all(1.0 <= found.aspect <= 9.0 for found in spec.cells)


def test_random_specs_differ() -> None:
    specs = [random_spec(seed) for seed in range(12)]
    assert len({spec.pixel_size_um for spec in specs}) == 12
    assert {spec.optics.polarity for spec in specs} == {-1, 1}


@pytest.mark.parametrize(("seed", "covered"), [(1, 0.1), (2, 0.5), (3, 0.9)])
def test_labels_are_compact_connected_and_nuclei_lie_within_one_cell(seed: int, covered: float) -> None:
    truth = phantom(seed, covered)
    assert truth.pixels.dtype == np.uint16
    assert truth.pixels.shape == truth.cells.shape == truth.nuclei.shape
    assert truth.cells.dtype == truth.nuclei.dtype == np.int32
    assert np.unique(truth.cells).tolist() == list(range(truth.cells.max() + 1))
    assert np.unique(truth.nuclei).tolist() == list(range(truth.nuclei.max() + 1))
    assert not truth.nuclei[truth.cells == 0].any()
    for label in range(1, truth.nuclei.max() + 1):
        assert len(np.unique(truth.cells[truth.nuclei == label])) == 1
    for label in range(1, truth.cells.max() + 1):
        inside = truth.cells == label
        assert inside.sum() >= MIN_VISIBLE_PX
        assert ndimage.label(inside)[1] == 1


def test_more_is_covered_where_more_is_asked() -> None:
    shares = [float((phantom(6, covered).cells > 0).mean()) for covered in (0.08, 0.3, 0.7)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.08, abs=0.06)
    assert shares[1] == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize("polarity", [1, -1])
def test_cells_stand_out_where_their_labels_lie(polarity: int) -> None:
    truth = phantom(7, 0.25, optics=Optics(polarity=polarity), debris=QUIET)
    shown = normalize(truth.pixels, truth.pixel_size_um)
    core = ndimage.binary_erosion(truth.cells > 0, iterations=2)
    # dark cells for a positive polarity, bright ones for a negative one
    assert polarity * shown[core].mean() < -0.2

    def detail(cells: np.ndarray) -> float:
        return float(np.abs(shown[cells > 0]).mean() / np.abs(shown[cells == 0]).mean())

    # labels that were shifted against the image would fit less well in every direction
    for shift in ((12, 0), (-12, 0), (0, 12), (0, -12)):
        assert detail(np.roll(truth.cells, shift, (0, 1))) < 0.9 * detail(truth.cells)


def test_debris_is_seen_and_carries_no_label() -> None:
    empty = PhantomSpec((256, 256), 1.0, (), Debris(floating=3, specks=20), Optics(unevenness=0.0))
    truth = simulate_frame(1, spec=empty)
    clean = simulate_frame(1, spec=replace(empty, debris=QUIET))
    assert not truth.cells.any()
    assert not truth.nuclei.any()
    assert truth.pixels.std() > 1.5 * clean.pixels.std()


@pytest.mark.parametrize("area_um2", [900.0, 1900.0, 5000.0])
def test_a_cell_has_the_area_it_was_given(area_um2: float) -> None:
    areas = [float((alone(cell(area_um2=area_um2, seed=seed)).cells > 0).sum()) for seed in range(8)]
    assert np.mean(areas) == pytest.approx(area_um2, rel=0.15)
    half_length, half_width = half_axes_um(cell(area_um2=area_um2))
    assert half_length == pytest.approx(3.0 * half_width)


@pytest.mark.parametrize("pixel_size_um", [0.5, 2.0])
def test_the_size_of_a_cell_does_not_depend_on_the_size_of_a_pixel(pixel_size_um: float) -> None:
    usual = alone(cell())
    other = alone(cell(), pixel_size_um=pixel_size_um)
    for one, another in ((usual.cells, other.cells), (usual.nuclei, other.nuclei)):
        assert (another > 0).sum() * pixel_size_um**2 == pytest.approx((one > 0).sum(), rel=0.1)


def test_a_cell_lies_where_and_as_it_was_put() -> None:
    rows, columns = np.nonzero(alone(cell(y_um=60.0, x_um=130.0, angle=0.0, aspect=6.0)).cells)
    assert rows.mean() == pytest.approx(60.0, abs=4.0)
    assert columns.mean() == pytest.approx(130.0, abs=6.0)
    assert np.ptp(columns) > 2.0 * np.ptp(rows)
    rows, columns = np.nonzero(alone(cell(angle=np.pi / 2, aspect=6.0)).cells)
    assert np.ptp(rows) > 2.0 * np.ptp(columns)


def test_two_nuclei_are_two() -> None:
    assert alone(cell(nuclei=2, area_um2=4000.0)).nuclei.max() == 2
    assert alone(cell(nuclei=1)).nuclei.max() == 1


def test_a_cell_outside_of_the_frame_is_not_drawn_and_one_at_the_border_is_cut() -> None:
    assert draw_cell(cell(y_um=-500.0), (200, 200), 1.0) is None
    assert not alone(cell(x_um=900.0)).cells.any()
    whole, cut = alone(cell()).cells, alone(cell(y_um=0.0, angle=0.0)).cells
    assert 0 < (cut > 0).sum() < 0.7 * (whole > 0).sum()
    assert cut[0].any()


def test_earlier_cells_lie_on_top() -> None:
    spec = PhantomSpec((200, 200), 1.0, (cell(), cell(seed=9, y_um=115.0)), QUIET)
    both = simulate_frame(0, spec=spec).cells
    first = alone(cell()).cells
    assert (both[first > 0] == 1).all()
    assert (both == 2).any()


def test_defocus_takes_fine_detail() -> None:
    sharp, blurred = (
        alone(cell(), optics=Optics(unevenness=0.0, defocus_um=defocus, photons=1e9, read_noise=0.0)).pixels
        for defocus in (0.0, 10.0)
    )

    def detail(pixels: np.ndarray) -> float:
        return float(ndimage.laplace(pixels.astype(float)).std())

    assert detail(blurred) < 0.3 * detail(sharp)


def test_noise_follows_the_photons_and_counts_stay_in_range() -> None:
    nothing = np.zeros((200, 200), np.float32)

    def shot(**chosen: float) -> np.ndarray:
        return expose(nothing, 1.0, Optics(unevenness=0.0, **chosen), np.random.default_rng(0))

    bright = shot(photons=10000.0, read_noise=0.0)
    assert bright.mean() == pytest.approx(9000.0, rel=0.01)
    assert bright.std() == pytest.approx(90.0, rel=0.05)
    assert shot(photons=2500.0, read_noise=0.0).std() == pytest.approx(180.0, rel=0.05)
    assert shot(background_counts=200000.0).max() == 65535


def test_light_falls_towards_the_corners() -> None:
    nothing = np.zeros((200, 200), np.float32)
    uneven = expose(nothing, 1.0, Optics(unevenness=0.5), np.random.default_rng(0)).astype(float)
    middle = uneven[80:120, 80:120].mean()
    corners = [uneven[rows, columns].mean() for rows in np.s_[:20, -20:] for columns in np.s_[:20, -20:]]
    assert max(corners) < middle


def test_senescence_makes_cells_large_flat_and_their_nuclei_relatively_small() -> None:
    random = np.random.default_rng(0)
    young = [cell_of(random, 0.05, 1900.0) for _ in range(300)]
    old = [cell_of(random, 0.9, 1900.0) for _ in range(300)]

    def mean(cells: list[CellShape], what: str) -> float:
        return float(np.mean([getattr(found, what) for found in cells]))

    assert 3.0 < mean(old, "area_um2") / mean(young, "area_um2") < 4.8
    assert mean(old, "thickness") < 0.7 * mean(young, "thickness")
    assert mean(old, "aspect") < mean(young, "aspect")
    assert mean(old, "nuclei") > mean(young, "nuclei")
    ratio = [mean(cells, "nucleus_area_um2") / mean(cells, "area_um2") for cells in (young, old)]
    assert ratio[1] < 0.6 * ratio[0]


def test_a_population_adds_up_to_what_was_asked() -> None:
    random = np.random.default_rng(1)
    cells = grow_population(random, (400, 300), 1.5, covered=0.4, typical_um2=1500.0, senescence=0.2)
    total = sum(found.area_um2 for found in cells)
    asked = 0.4 * 400 * 300 * 1.5**2
    assert asked <= total < asked + max(found.area_um2 for found in cells)
    assert all(0.0 <= found.y_um <= 600.0 and 0.0 <= found.x_um <= 450.0 for found in cells)
