"""Targets of hand-made labels with known answers."""

import math

import numpy as np
import pytest
import torch
from cases.phantoms import phantom
from scipy import ndimage

from monitor.training.targets import CONTACT_PX, boundary_map, centre_map, contact_map

ROOT2 = math.sqrt(2.0)


def labels_of(text: str) -> np.ndarray:
    rows = [[0 if mark == "." else int(mark) for mark in line] for line in text.split()]
    return np.array(rows, np.int32)


def test_a_line_peaks_in_its_middle_and_falls_evenly_to_its_ends() -> None:
    found = centre_map(labels_of("....... .11111. ......."))
    assert found[1].tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 0.5, 0.0, 0.0])
    assert not found[[0, 2]].any()


def test_a_square_falls_with_steps_along_and_across() -> None:
    found = centre_map(labels_of("11111 11111 11111 11111 11111"))
    far = 2.0 * ROOT2
    assert found[2].tolist() == pytest.approx([1 - 2 / far, 1 - 1 / far, 1.0, 1 - 1 / far, 1 - 2 / far])
    assert found[0, 0] == pytest.approx(0.0)
    assert found[0, 1] == pytest.approx(1.0 - (ROOT2 + 1.0) / far)


def test_distance_runs_within_the_cell_and_not_across_a_gap() -> None:
    # a hook: its ends lie two pixels apart, and fourteen along the body
    hook = labels_of("1111111 1...... 1111111")
    found = centre_map(hook)
    assert found[1, 0] == 1.0
    assert found[0, 6] == pytest.approx(0.0)
    assert found[2, 6] == pytest.approx(0.0)
    # from the middle a step across the corner, then five along the arm
    assert found[0, 5] == pytest.approx(1.0 - (ROOT2 + 4.0) / (ROOT2 + 5.0), abs=1e-6)


def test_a_triangle_peaks_inside_and_not_on_its_longest_side() -> None:
    # the middle between the two farthest corners lies on the side between them
    rows, columns = np.mgrid[0:61, 0:81]
    triangle = (rows >= np.abs(columns - 40) * 1.73).astype(np.int32)
    found = centre_map(triangle)
    row, column = np.unravel_index(np.argmax(found), found.shape)
    outside = ndimage.distance_transform_edt(np.pad(triangle, 1))[1:-1, 1:-1]
    assert abs(column - 40) <= 1
    assert outside[row, column] >= 12


def test_touching_cells_have_a_peak_each() -> None:
    found = centre_map(labels_of("1111122222"))
    assert found[0].tolist() == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0] * 2)


def test_a_single_pixel_is_its_own_peak() -> None:
    assert centre_map(labels_of("... .1. ..."))[1, 1] == 1.0


def test_only_the_largest_part_counts() -> None:
    found = centre_map(labels_of("11..111."))
    assert found[0].tolist() == pytest.approx([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0])


def test_gaps_between_labels_do_no_harm() -> None:
    assert (centre_map(labels_of("111.777")) == centre_map(labels_of("111.222"))).all()


def test_nothing_gives_nothing() -> None:
    found = centre_map(np.zeros((5, 6), np.int32))
    assert found.shape == (5, 6)
    assert found.dtype == np.float32
    assert not found.any()


def test_the_peak_of_a_disc_is_its_centre() -> None:
    y, x = np.ogrid[:61, :61]
    disc = (np.hypot(y - 30, x - 30) <= 25).astype(np.int32)
    row, column = np.unravel_index(centre_map(disc).argmax(), disc.shape)
    assert math.hypot(row - 30, column - 30) <= 2.0


def test_the_map_turns_with_the_cell() -> None:
    hook = labels_of("1111 1... 1111")
    assert np.allclose(centre_map(np.ascontiguousarray(hook.T)), centre_map(hook).T)


def test_every_simulated_cell_has_one_peak_of_one() -> None:
    truth = phantom(2, covered=0.5)
    found = centre_map(truth.cells)
    assert truth.cells.max() > 10
    for label, window in enumerate(ndimage.find_objects(truth.cells), start=1):
        inside = truth.cells[window] == label
        values = np.where(inside, found[window], -1.0)
        assert values.max() == 1.0
        assert 0.0 <= values[inside].min() < 0.2
        # a single peak: no pixel but the highest is above all of its neighbours
        highest = ndimage.maximum_filter(values, 3)
        peaks = inside & (values == highest) & (values > 0.0)
        assert ndimage.label(peaks, np.ones((3, 3)))[1] == 1
    assert not found[truth.cells == 0].any()


def boundary_of(labels: np.ndarray) -> np.ndarray:
    edge: np.ndarray = boundary_map(torch.from_numpy(labels)[None])[0].numpy()
    return edge


def contact_of(labels: np.ndarray) -> np.ndarray:
    contact: np.ndarray = contact_map(torch.from_numpy(labels)[None])[0].numpy()
    return contact


def test_the_boundary_is_the_inner_edge_one_pixel_wider() -> None:
    cells = np.zeros((11, 11), np.int32)
    cells[2:9, 2:9] = 1
    edge = boundary_of(cells)
    assert edge.dtype == bool
    assert edge[1, 5] and edge[2, 5] and edge[3, 5]
    assert not edge[0, 5]
    assert not edge[4:7, 4:7].any()


def test_touching_cells_have_a_boundary_between_them() -> None:
    edge = boundary_of(labels_of("11112222 11112222 11112222"))
    assert edge[:, 2:6].all()
    assert not edge[:, [0, 1, 6, 7]].any()


def test_a_cell_that_fills_the_field_has_no_boundary() -> None:
    assert not boundary_of(np.ones((6, 6), np.int32)).any()
    assert not boundary_of(np.zeros((6, 6), np.int32)).any()


def test_contact_lies_between_two_cells_and_nowhere_else() -> None:
    cells = np.zeros((30, 60), np.int32)
    cells[5:25, 5:25] = 1
    cells[5:25, 27:47] = 2
    contact = contact_of(cells)
    columns = np.flatnonzero(contact[15])
    assert (columns.min(), columns.max()) == (27 - CONTACT_PX, 24 + CONTACT_PX)
    assert contact[15, columns.min() : columns.max() + 1].all()
    assert not contact[:, :20].any()


def test_cells_far_apart_or_alone_have_no_contact() -> None:
    cells = np.zeros((30, 60), np.int32)
    cells[5:25, 5:20] = 1
    assert not contact_of(cells).any()
    cells[5:25, 20 + 2 * CONTACT_PX + 1 : 50] = 2
    assert not contact_of(cells).any()
    assert not contact_of(np.zeros((6, 6), np.int32)).any()


def test_contact_is_what_filters_of_the_largest_and_smallest_find() -> None:
    cells = phantom(2, covered=0.5).cells
    size = 2 * CONTACT_PX + 1
    largest = ndimage.maximum_filter(cells, size, mode="constant", cval=0)
    most = np.iinfo(np.int32).max
    smallest = ndimage.minimum_filter(np.where(cells > 0, cells, most), size, mode="constant", cval=most)
    assert (contact_of(cells) == ((largest > 0) & (smallest < largest))).all()
    assert contact_of(cells).any()
