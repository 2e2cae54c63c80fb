"""Scores of hand-made label images with known answers, and agreement with the shared scorer."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monitor.training.metrics import THRESHOLDS, joint_rate, match_instances, score

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
FIELDS = SHARED / "data" / "phase_contrast_instances"


def squares(*corners: tuple[int, int], side: int = 10, shape: tuple[int, int] = (64, 64)) -> np.ndarray:
    labels = np.zeros(shape, np.int32)
    for number, (row, column) in enumerate(corners, start=1):
        labels[row : row + side, column : column + side] = number
    return labels


def test_the_truth_itself_is_perfect() -> None:
    truth = squares((2, 2), (30, 30))
    found = score([match_instances(truth, truth)])
    assert (found.ap50, found.ap75, found.mean_ap, found.f1, found.matched_iou) == (1.0, 1.0, 1.0, 1.0, 1.0)
    assert (found.area_ratio, found.count_error, found.true_instances) == (1.0, 0.0, 2)


def test_a_shifted_square_matches_up_to_its_overlap() -> None:
    # 10 x 10 shifted by two columns: 80 shared of 120
    matches = match_instances(squares((2, 2)), squares((2, 4)))
    assert matches.ious.tolist() == pytest.approx([80 / 120])
    assert (matches.hits == (THRESHOLDS <= 80 / 120)).all()


def test_a_cell_cut_in_two_is_a_miss_and_two_extras() -> None:
    cut = squares((2, 2))
    cut[2:12, 7:12] = 2
    matches = match_instances(squares((2, 2)), cut)
    # half of a cell reaches exactly 0.5
    assert (matches.hits[0], matches.extras[0], matches.misses[0]) == (1, 1, 0)
    assert (matches.hits[1], matches.extras[1], matches.misses[1]) == (0, 2, 1)


def test_nothing_found_and_nothing_there() -> None:
    empty, one = squares(), squares((2, 2))
    assert score([match_instances(one, empty)]).recall == 0.0
    assert match_instances(empty, one).extras[0] == 1
    assert score([match_instances(empty, empty)]).ap50 == 0.0
    assert score([]).fields == 0


def test_counts_are_summed_before_they_are_divided() -> None:
    many, one = squares((0, 0), (20, 0), (40, 0)), squares((2, 2))
    found = score([match_instances(many, many), match_instances(one, squares((40, 40)))])
    assert found.ap50 == pytest.approx(3 / 5)


def test_bright_floating_cells_that_nobody_drew_are_no_mistakes() -> None:
    pixels = np.random.default_rng(1).normal(100.0, 2.0, (64, 64))
    pixels[40:50, 40:50] = 200.0
    truth, found = squares((2, 2)), squares((2, 2), (40, 40))
    assert match_instances(truth, found, pixels).extras[0] == 0
    assert match_instances(truth, found).extras[0] == 1


def test_true_specks_are_left_out() -> None:
    truth = squares((2, 2))
    truth[30:33, 30:33] = 2
    assert match_instances(truth, squares((2, 2))).misses[0] == 0


def test_joint_rate_asks_for_the_cell_and_its_number_of_nuclei() -> None:
    cells = squares((2, 2), (30, 30), side=20)
    nuclei = squares((8, 8), (36, 32), (36, 42), side=6)
    assert joint_rate(cells, nuclei, cells, nuclei) == 1.0
    assert joint_rate(cells, nuclei, cells, squares((8, 8), (36, 32), side=6)) == 0.5
    assert joint_rate(cells, nuclei, squares((2, 2), side=20), nuclei) == 0.5


@pytest.mark.shared
@pytest.mark.skipif(not FIELDS.is_dir(), reason="the shared fields do not lie beside the checkout")
def test_agrees_with_the_shared_scorer() -> None:
    spec = importlib.util.spec_from_file_location("shared_scorer", SHARED / "tools" / "score_instances.py")
    assert spec is not None
    assert spec.loader is not None
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    for name in ("set05", "set30"):
        pixels = np.asarray(Image.open(FIELDS / f"{name}_phase.png"))
        truth = np.asarray(Image.open(FIELDS / f"{name}_instances.png")).astype(np.int64)
        # the truth, moved and cut, with a few inventions on bright places
        found = np.roll(truth, (3, 5), (0, 1))
        found[:, 500:520] = 0
        found[pixels > np.percentile(pixels, 99.9)] = truth.max() + 1
        iou, ignored, true_area, found_area = scorer.match(truth, found, pixels)
        matches = match_instances(truth, found, pixels)
        assert (matches.true, matches.predicted) == (len(true_area), int((~ignored).sum()))
        for index, threshold in enumerate(scorer.THRESHOLDS):
            rows, columns = scorer.linear_sum_assignment(-np.where(iou >= threshold, iou + 1, 0))
            matched = iou[rows, columns] >= threshold
            assert matches.hits[index] == matched.sum()
            used = np.zeros(iou.shape[1], bool)
            used[columns[matched]] = True
            assert matches.extras[index] == (~used & ~ignored).sum()
            if index == 0:
                assert sorted(matches.ious) == pytest.approx(sorted(iou[rows, columns][matched]), abs=1e-9)
                ratios = found_area[columns[matched]] / true_area[rows[matched]]
                assert sorted(matches.area_ratios) == pytest.approx(sorted(ratios), abs=1e-9)
