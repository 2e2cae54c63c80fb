"""Decoding of height maps with known answers."""

import numpy as np
import pytest
import torch
from cases.phantoms import matched_f1, phantom
from scipy import ndimage
from skimage.morphology import h_maxima

from monitor.network.checkpoint import DecodeSettings
from monitor.segmentation.flood import flood
from monitor.segmentation.labels import Instances, instances_of
from monitor.training.targets import boundary_map, centre_map

PLANES = (0, 1, 2, 3, 4)
EIGHT = np.ones((3, 3), int)


def flooded(heights: list[float], persistence: float) -> list[int]:
    """Flood a line of pixels, all of them inside."""
    line = np.array([heights], np.float32)
    return flood(line, np.ones(line.shape, bool), np.zeros(line.shape, np.int32), persistence)[0].tolist()


def test_a_bump_of_few_pixels_joins_the_cell_that_it_meets() -> None:
    line = np.array([[1, 2, 5, 9, 5, 2, 8, 2, 6, 7, 6, 1]], np.float32)
    inside, walls = np.ones(line.shape, bool), np.zeros(line.shape, np.int32)

    def count(min_area_px: float) -> int:
        return int(flood(line, inside, walls, 0.5, min_area_px).max())

    assert count(0.0) == 3
    assert count(2.0) == 2  # the spike of one pixel is part of its neighbour, the hill of three stays
    assert count(4.0) == 1


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(y - row, x - column) <= radius


def perfect_maps(cells: np.ndarray, nuclei: np.ndarray) -> np.ndarray:
    """Return the maps that a network without error would give for label images."""
    logit = np.where([cells > 0, boundary_map(torch.from_numpy(cells)[None])[0].numpy(), nuclei > 0], 8.0, -8.0)
    return np.stack([logit[0], centre_map(cells), logit[1], logit[2], centre_map(nuclei)]).astype(np.float32)


def two_discs() -> tuple[np.ndarray, np.ndarray]:
    """Two touching cells of radius 15, a nucleus of radius 5 in each."""
    cells, nuclei = np.zeros((2, 64, 96), np.int32)
    for number, column in ((1, 30), (2, 60)):
        cells[disc(cells.shape, 32, column, 15.4) & (cells == 0)] = number
        nuclei[disc(cells.shape, 32, column, 5.0)] = number
    return cells, nuclei


def decode(maps: np.ndarray, pixel_size_um: float = 1.0, **settings: float) -> Instances:
    return instances_of(maps, PLANES, DecodeSettings(**settings), pixel_size_um)


def counts(found: Instances) -> tuple[int, int]:
    return int(found.cells.max(initial=0)), int(found.nuclei.max(initial=0))


def test_every_peak_becomes_one_instance() -> None:
    labels = flooded([1, 2, 3, 2, 1, 2, 3, 2, 1], persistence=0.5)
    assert labels[:4] == [1, 1, 1, 1]
    assert labels[5:] == [2, 2, 2, 2]
    assert labels[4] in (1, 2)


@pytest.mark.parametrize(
    ("persistence", "expected"),
    [(0.5, [1, 1, 2, 3, 3]), (1.5, [1, 1, 2, 2, 2]), (2.5, [1, 1, 2, 2, 2]), (3.5, [1, 1, 1, 1, 1])],
)
def test_peaks_merge_when_the_shallower_rises_less_than_the_persistence(
    persistence: float, expected: list[int]
) -> None:
    # 3 rises by 1 over its saddle to 4, and 4 by 3 over its saddle to 5
    assert flooded([5, 1, 3, 2, 4], persistence) == expected


def test_instances_touch_over_corners() -> None:
    inside = np.eye(5, dtype=bool)
    height = np.diag([1.0, 2.0, 3.0, 2.0, 1.0]).astype(np.float32)
    labels = flood(height, inside, np.zeros((5, 5), np.int32), 0.1)
    assert labels[inside].tolist() == [1] * 5
    assert not labels[~inside].any()


def test_walls_are_never_crossed() -> None:
    height = np.array([[1, 2, 3, 2.9, 2.8, 2.7]], np.float32)
    within = np.array([[1, 1, 1, 2, 2, 2]], np.int32)
    labels = flood(height, np.ones((1, 6), bool), within, persistence=100.0)
    assert labels.tolist() == [[1, 1, 1, 2, 2, 2]]


def test_nothing_inside_gives_nothing() -> None:
    labels = flood(np.ones((4, 5), np.float32), np.zeros((4, 5), bool), np.zeros((4, 5), np.int32), 0.1)
    assert labels.shape == (4, 5)
    assert labels.dtype == np.int32
    assert not labels.any()


def test_a_flat_map_is_one_instance_whatever_its_shape() -> None:
    inside = np.zeros((9, 9), bool)
    inside[:, 0] = inside[:, 8] = inside[8] = True
    labels = flood(np.full((9, 9), 0.5, np.float32), inside, np.zeros((9, 9), np.int32), 0.07)
    assert (labels == inside).all()


def test_parts_that_do_not_touch_stay_apart() -> None:
    inside = np.array([[True, True, False, True]])
    labels = flood(np.ones((1, 4), np.float32), inside, np.zeros((1, 4), np.int32), 10.0)
    assert labels.tolist() == [[1, 1, 0, 2]]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rise", [4, 15, 60])
def test_as_many_instances_as_h_maxima(seed: int, rise: int) -> None:
    random = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(random.random((24, 24)), 1.0)
    # ranks: no two pixels are alike, so that the known answer is the only one
    rank = smooth.ravel().argsort().argsort().reshape(smooth.shape)
    labels = flood(rank.astype(np.float32), np.ones(rank.shape, bool), np.zeros(rank.shape, np.int32), rise - 0.5)
    _, expected = ndimage.label(h_maxima(rank, rise), EIGHT)
    assert labels.max() == expected


@pytest.mark.parametrize("seed", range(4))
def test_labels_cover_the_mask_in_connected_pieces_numbered_from_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    height = ndimage.gaussian_filter(random.random((80, 70)), 3.0).astype(np.float32)
    inside = ndimage.gaussian_filter(random.random((80, 70)), 4.0) > 0.49
    labels = flood(height, inside, np.zeros(inside.shape, np.int32), 0.01)
    assert ((labels > 0) == inside).all()
    assert labels.max() > 3
    for label in range(1, labels.max() + 1):
        assert ndimage.label(labels == label, EIGHT)[1] == 1
    firsts = [int(np.flatnonzero(labels == label)[0]) for label in range(1, labels.max() + 1)]
    assert firsts == sorted(firsts)
    again = flood(height.copy(), inside.copy(), np.zeros(inside.shape, np.int32), 0.01)
    assert (again == labels).all()


def test_perfect_maps_decode_to_the_cells_they_were_made_of() -> None:
    cells, nuclei = two_discs()
    found = decode(perfect_maps(cells, nuclei))
    assert counts(found) == (2, 2)
    assert matched_f1(cells, found.cells, 0.9) == 1.0
    assert matched_f1(nuclei, found.nuclei, 0.9) == 1.0


@pytest.mark.parametrize("seed", [1, 2])
def test_perfect_maps_of_a_crowd_decode_to_nearly_all_of_its_cells(seed: int) -> None:
    truth = phantom(seed, covered=0.6)
    found = decode(perfect_maps(truth.cells, truth.nuclei), truth.pixel_size_um)
    assert truth.cells.max() > 20
    assert matched_f1(truth.cells, found.cells) > 0.9
    assert matched_f1(truth.nuclei, found.nuclei) > 0.9


def test_every_nucleus_lies_within_one_cell() -> None:
    cells, _ = two_discs()
    # one nucleus predicted across both cells, and one where there is no cell
    nuclei = np.zeros_like(cells)
    nuclei[28:37, 38:53] = 1
    nuclei[2:12, 80:90] = 2
    found = decode(perfect_maps(cells, nuclei))
    assert counts(found) == (2, 2)
    owners = [set(np.unique(found.cells[found.nuclei == label])) for label in (1, 2)]
    assert sorted(owners, key=min) == [{1}, {2}]
    assert not found.nuclei[2:12, 80:90].any()


def test_what_is_too_small_is_left_out_and_the_rest_renumbered() -> None:
    cells = np.zeros((64, 96), np.int32)
    cells[disc(cells.shape, 8, 10, 4.0)] = 1
    cells[disc(cells.shape, 32, 40, 15.0)] = 2
    cells[disc(cells.shape, 52, 80, 4.0)] = 3
    cells[disc(cells.shape, 20, 80, 14.0)] = 4
    maps = perfect_maps(cells, np.zeros_like(cells))
    assert np.unique(decode(maps, 1.0).cells).tolist() == [0, 1, 2]
    # the same pixels are four times the area at twice the pixel size
    assert np.unique(decode(maps, 2.0).cells).tolist() == [0, 1, 2, 3, 4]


def test_a_small_nucleus_is_left_out() -> None:
    cells, nuclei = two_discs()
    nuclei[nuclei == 1] = 0
    nuclei[31:34, 29:32] = 1
    found = decode(perfect_maps(cells, nuclei))
    assert counts(found) == (2, 1)
    assert found.cells[found.nuclei == 1].tolist() == [2] * int((found.nuclei == 1).sum())


def test_a_cell_without_a_peak_is_left_out() -> None:
    cells, nuclei = two_discs()
    maps = perfect_maps(cells, nuclei)
    maps[1][cells == 2] *= 0.2
    found = decode(maps)
    assert counts(found) == (1, 1)
    assert not found.nuclei[cells == 2].any()


def test_a_predicted_edge_divides_what_the_centre_map_leaves_together() -> None:
    maps = np.full((5, 40, 60), -8.0, np.float32)
    maps[0, 5:35, 5:55] = 8.0
    maps[1] = 0.6
    assert counts(decode(maps))[0] == 1
    maps[2, :, 29:31] = 8.0
    found = decode(maps).cells
    assert found.max() == 2
    assert set(np.unique(found[5:35, 5:28])) == {1}
    assert set(np.unique(found[5:35, 32:55])) == {2}


def test_small_holes_are_closed_and_large_ones_stay() -> None:
    maps = np.full((5, 80, 80), -8.0, np.float32)
    maps[0, 5:75, 5:75] = 8.0
    maps[1] = 0.6
    maps[0, 10:16, 10:16] = -8.0
    maps[0, 40:60, 40:60] = -8.0
    found = decode(maps).cells
    assert (found[10:16, 10:16] == 1).all()
    assert not found[40:60, 40:60].any()


def test_the_threshold_is_a_probability() -> None:
    maps = np.full((5, 40, 40), -8.0, np.float32)
    maps[0, 5:35, 5:35] = np.log(0.7 / 0.3)
    maps[1] = 0.6
    assert counts(decode(maps, threshold=0.65))[0] == 1
    assert counts(decode(maps, threshold=0.75))[0] == 0


def test_empty_maps_give_empty_labels() -> None:
    found = decode(np.full((5, 32, 64), -8.0, np.float32))
    assert counts(found) == (0, 0)
    assert found.cells.shape == found.nuclei.shape == (32, 64)
    assert found.cells.dtype == found.nuclei.dtype == np.int32


def test_the_order_of_the_planes_is_respected() -> None:
    cells, nuclei = two_discs()
    maps = perfect_maps(cells, nuclei)
    turned = instances_of(maps[[4, 3, 2, 1, 0]], (4, 3, 2, 1, 0), DecodeSettings(), 1.0)
    assert (turned.cells == decode(maps).cells).all()
    assert (turned.nuclei == decode(maps).nuclei).all()


def test_wild_maps_stay_finite_and_deterministic() -> None:
    maps = np.random.default_rng(0).normal(0.0, 1e4, (5, 64, 64)).astype(np.float32)
    first, second = decode(maps), decode(maps.copy())
    assert (first.cells == second.cells).all()
    assert (first.nuclei == second.nuclei).all()
    assert np.unique(first.cells).tolist() == list(range(first.cells.max() + 1))
    assert not first.nuclei[first.cells == 0].any()
