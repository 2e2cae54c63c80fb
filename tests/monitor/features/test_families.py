"""Families are measured when asked for, change nothing else, and say what they say of scenes with known answers."""

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.feature import graycomatrix, graycoprops
from skimage.measure import label as connected
from skimage.measure import regionprops

from monitor.features.catalogue import (
    BASE_POPULATION,
    CELL,
    FAMILIES,
    POPULATION,
    families_for,
)
from monitor.features.contour import trace
from monitor.features.featurizer import FrameFeatures, measure
from monitor.features.granularity import opened
from monitor.features.heterogeneity import TYPES, types_of
from monitor.features.label_runs import label_runs
from monitor.features.nearest import nearest_cells
from monitor.features.radii import depths
from monitor.features.texture import LEVELS, measure_texture, offsets, quantise
from monitor.frames.frame import Frame
from monitor.synthetic.culture import Culture, CultureSpec
from monitor.synthetic.phantom import Phantom, simulate_frame


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return simulate_frame(3)


@pytest.fixture(scope="module")
def found(phantom: Phantom) -> FrameFeatures:
    return everything(phantom.pixels, phantom.cells, phantom.nuclei, phantom.pixel_size_um)


def everything(pixels: np.ndarray, cells: np.ndarray, nuclei: np.ndarray | None, size: float) -> FrameFeatures:
    nuclei = np.zeros_like(cells) if nuclei is None else nuclei
    return measure(Frame(pixels, size), cells, nuclei, families=tuple(FAMILIES))


def discs(*places: tuple[float, float, float], side: int = 200) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.int32)
    for number, (row, column, radius) in enumerate(places, start=1):
        labels[(y - row) ** 2 + (x - column) ** 2 <= radius**2] = number
    return labels


def flat(labels: np.ndarray) -> np.ndarray:
    return np.full(labels.shape, 1000, np.uint16)


def test_with_all_families_everything_in_the_catalogue_is_measured(found: FrameFeatures) -> None:
    assert set(found.cells) == {feature.name for feature in CELL}
    assert set(found.population) == {feature.name for feature in POPULATION}
    assert all(len(column) == len(found.whole) for column in found.cells.values())
    assert found.centroids_um.shape == (len(found.whole), 2)


def test_names_are_used_once_and_every_feature_says_what_it_is() -> None:
    for features in (CELL, POPULATION):
        assert len({feature.name for feature in features}) == len(features)
        assert all(feature.unit and feature.definition and feature.source for feature in features)


def test_families_leave_the_base_as_it_is(phantom: Phantom, found: FrameFeatures) -> None:
    alone = measure(Frame(phantom.pixels, phantom.pixel_size_um), phantom.cells, phantom.nuclei)
    assert alone.population == {name: found.population[name] for name in alone.population}
    for name, column in alone.cells.items():
        np.testing.assert_array_equal(found.cells[name], column, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_alone_measures_what_it_lists(phantom: Phantom, found: FrameFeatures, family: str) -> None:
    frame = Frame(phantom.pixels, phantom.pixel_size_um)
    base = measure(frame, phantom.cells, phantom.nuclei)
    some = measure(frame, phantom.cells, phantom.nuclei, families=(family,))
    assert set(some.cells) - set(base.cells) == {feature.name for feature in FAMILIES[family].cells}
    assert set(some.population) - set(base.population) == {feature.name for feature in FAMILIES[family].population}
    assert some.population == {name: found.population[name] for name in some.population}


def test_a_model_gets_the_families_that_it_needs_and_no_others() -> None:
    base = tuple(feature.name for feature in BASE_POPULATION)
    assert families_for(base) == ()
    assert families_for((*base[:3], "halo_ratio_median", "max_radius_p90")) == ("radii", "halo")
    assert families_for(("type_entropy",)) == ("heterogeneity",)
    assert families_for(tuple(feature.name for feature in POPULATION)) == tuple(FAMILIES)
    with pytest.raises(KeyError, match="charm"):
        families_for(("charm",))


def test_an_unknown_family_is_named() -> None:
    labels = discs((50, 50, 10))
    with pytest.raises(KeyError, match="charm"):
        measure(Frame(flat(labels), 1.0), labels, np.zeros_like(labels), families=("charm",))


def test_an_empty_frame_and_one_full_of_one_cell_are_measured() -> None:
    nothing = np.zeros((64, 64), np.int32)
    empty = everything(flat(nothing), nothing, None, 1.0)
    assert empty.population == {"confluency": 0.0, "cell_density": 0.0}
    assert all(len(column) == 0 for column in empty.cells.values())
    full = everything(flat(nothing), nothing + 1, None, 1.0)
    assert math.isnan(full.cells["halo_ratio"][0])
    assert math.isnan(full.cells["haralick_entropy"][0])
    assert math.isnan(full.cells["granularity_4um"][0])
    assert full.cells["max_radius"][0] == pytest.approx(31.5)
    assert full.cells["neighbour_count"][0] == 0


def test_depth_is_the_distance_transform_of_each_cell_alone() -> None:
    cells = np.zeros((80, 90), np.int32)
    cells[10:60, 5:40], cells[10:60, 40:85] = 1, 2
    cells[30:34, 50:60] = 0  # a hole
    cells[65:, 20:60], cells[:8, :12] = 3, 4  # cut by the border
    found = depths(cells, label_runs(cells))
    for number in (1, 2, 3, 4):
        true = ndimage.distance_transform_edt(np.pad(cells == number, 1))[1:-1, 1:-1][cells == number] - 0.5
        expected = [true.max(), true.mean(), np.median(true)]
        np.testing.assert_allclose(found[number - 1], expected, rtol=1e-6)


def test_outlines_enclose_the_area_of_the_filled_cell_and_of_the_largest_part() -> None:
    cells = np.zeros((80, 90), np.int32)
    cells[10:60, 5:40], cells[10:60, 40:85] = 1, 2
    cells[30:34, 50:60] = 0  # a hole
    cells[2:4, 50:52] = 2  # a second, smaller part, met first
    contours = trace(cells, label_runs(cells))
    for number, filled in ((0, 50 * 35), (1, 50 * 45)):
        y, x = (line[contours.begins[number] : contours.begins[number + 1]] for line in (contours.y, contours.x))
        enclosed = 0.5 * abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
        assert enclosed == pytest.approx(filled, abs=1.0)  # each corner is cut by an eighth of a pixel


def test_pixels_that_touch_at_a_corner_have_one_outline() -> None:
    cells = np.zeros((8, 8), np.int32)
    cells[2, 2], cells[3, 3] = 1, 1
    contours = trace(cells, label_runs(cells))
    assert contours.begins.tolist() == [0, 8]


def test_the_ground_belongs_to_the_nearest_cell() -> None:
    random = np.random.default_rng(0)
    cells = connected(random.random((60, 70)) > 0.985).astype(np.int32)
    grown = nearest_cells(cells, 6.0)
    distance, (rows, columns) = ndimage.distance_transform_edt(cells == 0, return_indices=True)
    near = (distance <= 6.0) & (cells == 0)
    assert (grown[distance > 6.0] == 0).all()
    own = np.array([ndimage.distance_transform_edt(cells != number) for number in range(1, cells.max() + 1)])
    y, x = np.nonzero(near)
    np.testing.assert_array_equal(own[grown[near] - 1, y, x], distance[near])
    assert (cells[rows, columns][near] == grown[near]).mean() > 0.9  # the others are as far from two


def test_halo_is_the_ring_against_the_inside() -> None:
    cells = discs((100, 100, 20))
    distance = np.hypot(*(np.mgrid[:200, :200] - 100.0))
    pixels = np.full(cells.shape, 1000.0)
    pixels[(distance > 20) & (distance <= 24)] = 1300.0
    pixels[distance <= 20] = 800.0
    found = everything(pixels.astype(np.uint16), cells, None, 1.0).cells
    background = 1000.0 + 300.0 * (((distance > 20) & (distance <= 24)).sum() / (cells == 0).sum())
    assert found["halo_ratio"][0] == pytest.approx(1300.0 / 800.0, rel=0.03)
    assert found["halo_contrast"][0] == pytest.approx(1300.0 / background - 1.0, abs=0.1)
    assert found["intensity_mean"][0] == 800.0
    assert found["intensity_cv"][0] == 0.0


def test_grains_are_told_by_their_size() -> None:
    cells = np.zeros((200, 200), np.int32)
    cells[20:180, 20:90], cells[20:180, 110:180] = 1, 2
    pixels = np.full(cells.shape, 1000, np.uint16)
    pixels[30:170:10, 30:85:10] = 1500  # single pixels of 1 um
    for step in range(3):
        for other in range(3):
            pixels[30 + step : 170 : 10, 120 + other : 175 : 10] = 1500  # 3 um
    found = everything(pixels, cells, None, 1.0).cells
    small, middle, large = (found[f"granularity_{side}um"] for side in (2, 4, 8))
    assert small[0] == pytest.approx(0.5 * 14 * 6 / (160 * 70), rel=0.02)  # the squares are 3, 5 and 9 pixels
    assert small[1] == pytest.approx(0.0, abs=1e-6)
    assert middle[1] == pytest.approx(0.5 * 9 * 14 * 6 / (160 * 70), rel=0.02)
    assert large.max() < 1e-6


@pytest.mark.parametrize("side", [1, 3, 7, 13])
def test_openings_are_those_of_scipy(phantom: Phantom, side: int) -> None:
    plane = phantom.pixels.astype(np.float32)
    inside = np.s_[side:-side, side:-side]  # at the border scipy mirrors the frame
    np.testing.assert_array_equal(opened(plane, side)[inside], ndimage.grey_opening(plane, side)[inside])
    assert (opened(plane, side) <= plane).all()


def test_micrometres_stay_when_pixels_become_finer(phantom: Phantom, found: FrameFeatures) -> None:
    enlarge = np.ones((2, 2), np.int32)
    pixels, cells, nuclei = (
        np.kron(plane, enlarge.astype(plane.dtype)) for plane in (phantom.pixels, phantom.cells, phantom.nuclei)
    )
    fine = everything(pixels, cells, nuclei, phantom.pixel_size_um / 2.0)
    same = (
        "intensity_mean",
        "intensity_cv",
        "nearest_distance",
        "local_density",
        "neighbour_count",
        "nucleus_max_feret",
    )
    for name in same:
        np.testing.assert_allclose(fine.cells[name], found.cells[name], rtol=1e-3, err_msg=name)
    # rings and squares are whole pixels
    for name, share in (("halo_ratio", 0.01), ("max_radius", 0.1), ("mean_centroid_distance", 0.02)):
        np.testing.assert_allclose(fine.cells[name], found.cells[name], rtol=share, err_msg=name)
    assert fine.population["haralick_entropy_median"] == pytest.approx(
        found.population["haralick_entropy_median"], rel=0.1
    )
    assert fine.population["type_entropy"] == pytest.approx(found.population["type_entropy"])


@pytest.mark.parametrize("size", [0.65, 1.0, 2.5])
def test_texture_agrees_with_scikit_image(phantom: Phantom, size: float) -> None:
    labels = phantom.cells
    relative = (phantom.pixels / np.median(phantom.pixels)).astype(np.float32)
    levels = quantise(relative)
    assert len(np.unique(levels)) > 8
    found = measure_texture(levels, labels, label_runs(labels), size)
    assert found.shape == (labels.max(), 4)
    distance = int(offsets(size)[0, 1])
    assert distance == max(1, round(2.0 / size))
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    for region in regionprops(labels):
        rows, columns = region.slice
        inside = np.where(region.image, levels[rows, columns] + 1, 0).astype(np.uint8)
        pairs = graycomatrix(inside, [distance], angles, levels=LEVELS + 1, symmetric=True)[1:, 1:].astype(float)
        assert (pairs.sum(axis=(0, 1)) > 0).all()
        expected = [graycoprops(pairs, name).mean() for name in ("contrast", "correlation", "entropy", "variance")]
        np.testing.assert_allclose(found[region.label - 1], expected, rtol=1e-6)


def test_levels_are_fixed_and_clipped() -> None:
    relative = np.array([[-1.0, 0.6, 0.6251, 1.001, 1.3999, 9.0, np.nan]], np.float32)
    assert quantise(relative)[0].tolist() == [0, 0, 1, 16, 31, 31, 255]


def test_a_cell_of_one_level_has_no_correlation() -> None:
    cells = discs((50, 50, 10))
    found = everything(flat(cells), cells, None, 1.0).cells
    assert math.isnan(found["haralick_correlation"][0])
    assert (found["haralick_contrast"][0], found["haralick_variance"][0]) == (0.0, 0.0)
    assert found["haralick_entropy"][0] == pytest.approx(0.0, abs=1e-12)


def test_gain_of_the_camera_and_quarter_turns_leave_the_texture() -> None:
    frame = simulate_frame(5)
    before = everything(frame.pixels, frame.cells, None, 1.0).cells
    brighter = everything(frame.pixels.astype(np.float32) * np.float32(1.7), frame.cells, None, 1.0).cells
    for name in ("halo_ratio", "granularity_4um", "haralick_entropy", "intensity_cv"):
        np.testing.assert_allclose(brighter[name], before[name], rtol=2e-3, atol=1e-4, err_msg=name)
    pixels, cells = (np.ascontiguousarray(np.rot90(plane)) for plane in (frame.pixels, frame.cells))
    relative = [(plane / 1000.0).astype(np.float32) for plane in (frame.pixels, pixels)]
    one, other = (
        measure_texture(quantise(plane), labels, label_runs(labels), 1.0)
        for plane, labels in zip(relative, (frame.cells, cells), strict=True)
    )
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_the_largest_nucleus_speaks_for_the_cell() -> None:
    cells, nuclei = discs((60, 60, 40), (150, 150, 30)), np.zeros((200, 200), np.int32)
    nuclei[40:50, 40:50], nuclei[60:84, 60:72] = 1, 2
    found = everything(flat(cells), cells, nuclei, 0.5).cells
    assert found["nucleus_max_feret"][0] == pytest.approx(math.hypot(24, 12) * 0.5)
    assert found["nucleus_solidity"][0] == pytest.approx(1.0)
    assert found["nucleus_max_radius"][0] == pytest.approx(5.5 * 0.5)  # its middle lies between two pixels
    assert found["nucleus_aspect_ratio"][0] == pytest.approx(math.sqrt((24**2 - 1) / (12**2 - 1)))
    assert math.isnan(found["nucleus_max_feret"][1])


def test_the_nucleus_is_told_from_the_rest_by_its_intensity() -> None:
    cells, nuclei = discs((100, 100, 40)), discs((100, 100, 12))
    pixels = np.where(nuclei > 0, 1200, np.where(cells > 0, 1000, 900)).astype(np.uint16)
    assert everything(pixels, cells, nuclei, 0.5).cells["nucleus_contrast"][0] == pytest.approx(0.2, abs=0.002)


def test_neighbours_are_those_within_five_micrometres() -> None:
    # gaps between outlines: 4 um between 1 and 2, 10 um between 2 and 3
    cells = np.zeros((100, 100), np.int32)
    cells[40:60, 10:30], cells[40:60, 34:50], cells[40:60, 60:80] = 1, 2, 3
    found = everything(flat(cells), cells, None, 1.0).cells
    assert found["neighbour_count"].tolist() == [1, 1, 0]
    assert found["nearest_distance"].tolist() == pytest.approx([22.0, 22.0, 28.0])
    assert everything(flat(cells), cells, None, 0.4).cells["neighbour_count"].tolist() == [1, 2, 1]


def test_local_density_is_that_of_the_frame_where_cells_are_spread_evenly() -> None:
    places = [(row, column, 4.0) for row in range(12, 600, 24) for column in range(12, 600, 24)]
    cells = discs(*places, side=600)
    found = everything(flat(cells), cells, None, 1.0)
    true = 1e8 / 24.0**2
    np.testing.assert_allclose(found.cells["local_density"], true, rtol=0.15)
    assert found.population["local_density_median"] == pytest.approx(true, rel=0.05)


def test_heterogeneity_of_equal_and_of_different_cells() -> None:
    alike = discs((50, 50, 15), (50, 120, 15), (120, 50, 15))
    found = everything(flat(alike), alike, None, 1.0).population
    assert (found["area_robust_cv"], found["type_entropy"]) == (0.0, 0.0)
    unlike = discs((50, 50, 10), (50, 120, 38), (130, 50, 12))
    found = everything(flat(unlike), unlike, None, 1.0).population
    assert found["area_robust_cv"] > 0.3
    two_of_three = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)) / math.log(len(TYPES))
    assert found["type_entropy"] == pytest.approx(two_of_three)


def test_each_cell_is_of_one_type() -> None:
    cells = {
        "nucleus_count": np.array([2.0, 1.0, 1.0, 1.0, 1.0]),
        "form_factor": np.array([0.9, 0.9, 0.2, 0.6, 0.6]),
        "area": np.array([300.0, 300.0, 900.0, 5000.0, 900.0]),
        "aspect_ratio": np.array([1.0, 1.0, 6.0, 2.0, np.nan]),
    }
    assert [TYPES[kind] for kind in types_of(cells)] == list(TYPES)


@pytest.mark.parametrize("seed", [1, 2])
def test_simulated_stem_cells_of_early_passages_are_as_large_as_published(seed: int) -> None:
    """Median area 1800 to 2500 um2 at passages 1 to 3 (Oja et al. 2018); the true outlines, measured here."""
    culture = Culture(CultureSpec("early", seed, shape_px=(900, 900), covered=0.25))
    frame = culture.frame("p1", 0)
    found = measure(Frame(frame.pixels, frame.pixel_size_um), frame.cells, frame.nuclei)
    assert found.whole.sum() > 40
    assert 1800.0 <= found.population["area_median"] <= 2500.0
