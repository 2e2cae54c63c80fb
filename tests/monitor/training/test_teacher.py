import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.frames.frame import Frame
from monitor.training.teacher import Seen, found_again, taught_fraction, teach


def frame(number: int, shape: tuple[int, int] = (40, 60)) -> Frame:
    return Frame(np.full(shape, number, np.uint16), 1.0)


def seen(*squares: tuple[int, int, float], reliable: bool = True) -> Seen:
    """Return squares of ten pixels with the probability that each is a cell."""
    cells, probability = np.zeros((40, 60), np.int32), np.full((40, 60), 0.02, np.float32)
    for label, (row, column, sure) in enumerate(squares, start=1):
        cells[row : row + 10, column : column + 10] = label
        probability[row : row + 10, column : column + 10] = sure
    return Seen(cells, np.stack([np.zeros_like(probability), probability]), reliable)


def taught(*looks: Seen | None, in_sequence: bool = True) -> list[NDArray[np.int32]]:
    by_number = dict(enumerate(looks))
    found = teach(
        lambda f: by_number[int(f.pixels[0, 0])], [frame(n) for n in range(len(looks))], in_sequence=in_sequence
    )
    for one in found:
        assert one.cells_known[one.cells > 0].all()
    return [one.cells for one in found]


def test_only_what_the_network_is_sure_of_teaches() -> None:
    look = seen((5, 5, 0.97), (5, 40, 0.6))
    (one,) = teach(lambda f: look, [frame(0)], in_sequence=False)
    assert sorted(np.unique(one.cells)) == [0, 1]
    assert one.cells_known[10, 10] and one.cells_known[35, 30]
    assert not one.cells_known[10, 45]


def test_ground_that_may_be_a_cell_does_not_teach() -> None:
    look = seen((5, 5, 0.97))
    look.stain[1, 20:30, 20:30] = 0.3
    (one,) = teach(lambda f: look, [frame(0)], in_sequence=False)
    assert not one.cells_known[20:30, 20:30].any()
    assert one.cells_known.mean() == pytest.approx(1.0 - 100 / 2400)
    assert taught_fraction([one]) == pytest.approx(1.0 - 100 / 2400)
    assert taught_fraction([]) == 0.0


def test_a_cell_must_be_found_again_before_or_after() -> None:
    still, moved, gone = (5, 5, 0.97), (7, 6, 0.97), (25, 45, 0.97)
    first, second, third = taught(seen(still, gone), seen(moved), seen((8, 6, 0.97), (25, 25, 0.97)))
    assert sorted(np.unique(first)) == sorted(np.unique(second)) == sorted(np.unique(third)) == [0, 1]
    alone = taught(seen(still, gone), seen(moved), in_sequence=False)
    assert sorted(np.unique(alone[0])) == [0, 1, 2]


def test_a_frame_that_cannot_be_relied_on_is_left_out_and_bridged() -> None:
    good = seen((5, 5, 0.97))
    assert len(taught(good, None, good)) == len(taught(good, seen((5, 5, 0.97), reliable=False), good)) == 2
    (first, last) = taught(good, None, seen((25, 45, 0.97)))
    assert first.any() and last.any()


def test_a_cell_that_halves_is_not_found_again() -> None:
    whole = np.zeros((20, 20), np.int32)
    whole[4:16, 4:16] = 1
    halves = whole.copy()
    halves[4:16, 10:16] = 2
    assert found_again(whole, whole).tolist() == [False, True]
    assert found_again(whole, halves).tolist() == [False, True]  # half of it is just one half
    thirds = whole.copy()
    thirds[4:16, 8:12], thirds[4:16, 12:16] = 2, 3
    assert found_again(whole, thirds).tolist() == [False, False]
    assert found_again(whole, np.zeros_like(whole)).tolist() == [False, False]
