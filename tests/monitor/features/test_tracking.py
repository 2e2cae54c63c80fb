"""Linking cells from frame to frame, on tracks that are known, simulated and real."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.measure import regionprops_table

from monitor.features.tracking import Cells, link

TRACKED = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "tracked_masks"


def cells(*rows: tuple[float, float, float]) -> Cells:
    y, x, area = np.array(rows, float).reshape(-1, 3).T
    return Cells(y, x, area)


def test_cells_keep_their_identity_whatever_their_order() -> None:
    random = np.random.default_rng(0)
    places = random.uniform(0.0, 1000.0, (200, 2))
    order = random.permutation(200)
    moved = places + random.normal(0.0, 2.0, (200, 2))
    area = np.full(200, 1500.0)
    found = link(Cells(*places.T, area), Cells(*moved[order].T, area), 30.0)
    assert (found.same == order).mean() > 0.99
    assert (found.mother == -1).all()


def test_none_is_linked_beyond_the_gate() -> None:
    before, after = cells((0, 0, 100), (100, 0, 100)), cells((0, 9.9, 100), (100, 10.1, 100))
    assert link(before, after, 10.0).same.tolist() == [0, -1]


def test_two_short_steps_are_taken_before_one_shorter_alone() -> None:
    # the near pair would leave the others without a partner within the gate
    before, after = cells((0, 0, 100), (0, 10, 100)), cells((0, 9, 100), (0, 19, 100))
    assert link(before, after, 10.0).same.tolist() == [0, 1]


def test_where_both_ways_link_all_the_shorter_is_taken() -> None:
    before, after = cells((0, 0, 100), (0, 10, 100)), cells((0, 11, 100), (0, 1, 100))
    assert link(before, after, 20.0).same.tolist() == [1, 0]


def test_one_cell_that_becomes_two_has_divided() -> None:
    before = cells((50, 50, 1000), (200, 200, 1000))
    after = cells((200, 201, 1010), (44, 50, 480), (57, 50, 520))
    found = link(before, after, 30.0)
    assert found.same.tolist() == [1, -1, -1]
    assert found.mother.tolist() == [-1, 0, 0]


@pytest.mark.parametrize(
    "after",
    [
        cells((50, 50, 1000), (58, 50, 480)),  # did not shrink
        cells((50, 50, 900), (58, 50, 150)),  # one is a fragment
        cells((44, 50, 150), (57, 50, 160)),  # much went missing
        cells((50, 50, 500), (50, 75, 500)),  # one is where the mother was, the other came from the side
    ],
)
def test_a_newcomer_is_no_daughter(after: Cells) -> None:
    found = link(cells((50, 50, 1000)), after, 30.0)
    assert (found.mother == -1).all()
    assert (found.same >= 0).sum() == 1


def test_a_frame_without_cells_links_nothing() -> None:
    nothing, one = cells(), cells((0, 0, 100))
    assert link(nothing, one, 10.0).same.tolist() == [-1]
    assert link(one, nothing, 10.0).same.tolist() == []
    assert link(nothing, nothing, 10.0).mother.tolist() == []


@pytest.mark.shared
@pytest.mark.skipif(not TRACKED.is_dir(), reason="the shared tracked masks are not here")
def test_links_of_real_stem_cells_are_those_that_people_drew() -> None:
    """Pancreatic stem cells, a frame every 10 minutes: 8,942 links and 64 divisions in 99 pairs of frames."""
    mothers = {row[0]: row[3] for row in np.loadtxt(TRACKED / "man_track.txt", int)}
    frames = []
    for file in sorted(TRACKED.glob("man_seg*.tif")):
        table = regionprops_table(tifffile.imread(file), properties=("label", "centroid", "area"))
        y, x = table["centroid-0"] * 1.6, table["centroid-1"] * 1.6
        frames.append((table["label"].tolist(), Cells(y, x, table["area"] * 1.6**2)))
    right = wrong = missed = 0
    true_divisions, found_divisions = set(), set()
    for number, ((labels, before), (later, after)) in enumerate(itertools.pairwise(frames)):
        found = link(before, after, 24.0)
        place = {label: index for index, label in enumerate(labels)}
        true = np.array([place.get(label, -1) for label in later])
        right += int(((found.same == true) & (true >= 0)).sum())
        wrong += int(((found.same != true) & (found.same >= 0)).sum())
        missed += int(((found.same != true) & (true >= 0)).sum())
        born = [index for index, label in enumerate(later) if label not in place and mothers.get(label) in place]
        true_divisions |= {(number, index, place[mothers[later[index]]]) for index in born}
        found_divisions |= {(number, int(i), int(found.mother[i])) for i in np.flatnonzero(found.mother >= 0)}
    assert right + missed > 8000
    assert right / (right + wrong) > 0.995
    assert right / (right + missed) > 0.995
    both = len(true_divisions & found_divisions)
    assert both / len(true_divisions) > 0.7
    assert both / len(found_divisions) > 0.7
