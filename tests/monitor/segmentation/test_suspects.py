import numpy as np
import pytest
from cases.phantoms import phantom

from monitor.segmentation.suspects import cut_by_border, likely_merged


def test_which_cells_the_border_cuts() -> None:
    cells = np.zeros((40, 60), np.int32)
    cells[0:5, 10:20] = 1
    cells[10:20, 10:20] = 2
    cells[30:40, 5:9] = 3
    cells[20:25, 59:60] = 4
    assert cut_by_border(cells).tolist() == [True, False, True, True]
    assert cut_by_border(np.zeros((9, 9), np.int32)).size == 0


@pytest.mark.parametrize(("apart_px", "merged"), [(20, False), (50, True)])
def test_nuclei_far_apart_are_of_two_cells(apart_px: int, merged: bool) -> None:
    cells, nuclei = np.zeros((2, 40, 120), np.int32)
    cells[5:35, 5:115] = 1
    nuclei[15:25, 10:20] = 1
    nuclei[15:25, 10 + apart_px : 20 + apart_px] = 2
    assert likely_merged(cells, nuclei, 1.0).tolist() == [merged]
    # the same picture at half the magnification
    assert likely_merged(cells, nuclei, 2.0).tolist() == [True]


def test_a_cell_longer_than_any_is_several() -> None:
    cells = np.zeros((60, 700), np.int32)
    cells[5:15, 5:300], cells[25:35, 5:690] = 1, 2
    assert likely_merged(cells, np.zeros_like(cells), 1.0).tolist() == [False, True]


def test_true_cells_are_hardly_ever_suspected_and_pairs_of_neighbours_are() -> None:
    truth = phantom(6, covered=0.5)
    assert likely_merged(truth.cells, truth.nuclei, truth.pixel_size_um).mean() < 0.1
    joined = (truth.cells + 1) // 2
    assert likely_merged(joined, truth.nuclei, truth.pixel_size_um).mean() > 0.6
    assert likely_merged(np.zeros_like(joined), np.zeros_like(joined), 1.0).size == 0
