import numpy as np
import pytest
import torch
from cases.phantoms import phantom

from monitor.network.checkpoint import CONFIDENCE_COLUMNS, CellConfidence, DecodeSettings
from monitor.network.segnet import PLANES
from monitor.segmentation import device_steps
from monitor.segmentation.confidence import believed, columns_of, evidence, renamed
from monitor.segmentation.device_labels import instances_on_device
from monitor.segmentation.labels import instances_of

ANY = CellConfidence(intercept=0.0, **dict.fromkeys(CONFIDENCE_COLUMNS, 0.0), least=0.0)


def logit(probability: float) -> float:
    return float(np.log(probability / (1.0 - probability)))


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A cell of 6 x 8 pixels in the corner, and one of 5 x 5 that touches another."""
    cells = np.zeros((30, 40), np.int32)
    cells[:6, :8], cells[10:15, 10:15], cells[10:15, 15:20] = 1, 2, 3
    cell = np.full(cells.shape, logit(0.9), np.float32)
    cell[cells == 2] = logit(0.6)
    cell[11:14, 11:14] = logit(0.8)
    boundary = np.full(cells.shape, logit(0.25), np.float32)
    height = np.where(cells == 3, -0.5, 0.2).astype(np.float32)
    height[12, 12], height[25, 25] = 0.7, 9.0
    return cells, cell, boundary, height


def test_evidence_is_what_the_maps_say_of_each_cell() -> None:
    found = dict(zip(CONFIDENCE_COLUMNS, evidence(*scene()).T, strict=True))
    np.testing.assert_allclose(found["peak"], [0.2, 0.7, -0.5], atol=1e-6)
    np.testing.assert_allclose(found["probability"], [0.9, (16 * 0.6 + 9 * 0.8) / 25, 0.9], atol=1e-3)
    np.testing.assert_allclose(found["edge"], 0.25, atol=1e-3)
    # 6 + 8 pixels lie on two borders, one of them on both; the outline is the other two sides
    np.testing.assert_allclose(found["border"], [14 / 13, 0.0, 0.0])


def test_a_device_sums_the_same() -> None:
    cells, cell, boundary, height = scene()
    stacked = [torch.from_numpy(np.stack([some, some[::-1].copy()])) for some in (cells, cell, boundary, height)]
    sums, peaks = device_steps.sums(*stacked, 3)
    for frame, turned in enumerate((False, True)):
        ours = evidence(*(some[::-1].copy() if turned else some for some in scene()))
        np.testing.assert_allclose(columns_of(sums[frame, 1:].numpy(), peaks[frame, 1:].numpy()), ours, atol=1e-3)


def test_who_is_likely_enough_stays_and_names_have_no_gaps() -> None:
    columns = evidence(*scene())
    by_probability = ANY.model_copy(update={"intercept": -7.5, "probability": 10.0, "least": 0.5})
    kept = believed(columns, by_probability)
    assert kept.tolist() == [True, False, True]
    assert renamed(kept).tolist() == [0, 1, 0, 2]
    assert believed(columns, ANY).all()
    assert believed(np.empty((0, len(CONFIDENCE_COLUMNS))), by_probability).size == 0


@pytest.mark.parametrize("least", [0.0, 0.5, 0.8])
def test_decoding_leaves_out_the_same_cells_here_and_on_a_device(least: float) -> None:
    taken = phantom(3, covered=0.5)
    random = np.random.default_rng(1)
    faint = np.isin(taken.cells, np.flatnonzero(random.random(int(taken.cells.max()) + 1) < 0.4))
    maps = np.zeros((5, *taken.cells.shape), np.float32)
    maps[0] = np.where(taken.cells > 0, np.where(faint, 0.4, 5.0), -5.0)
    maps[1] = np.where(taken.cells > 0, 0.9, 0.0)
    maps[2], maps[3] = -5.0, np.where(taken.nuclei > 0, 5.0, -5.0)
    confidence = ANY.model_copy(update={"intercept": -8.0, "probability": 10.0, "least": least})
    every, some = (DecodeSettings(confidence=chosen) for chosen in (None, confidence))
    all_cells, ours = (instances_of(maps, PLANES, settings, 1.1) for settings in (every, some))
    theirs = instances_on_device(torch.from_numpy(maps[None]), PLANES, some, 1.1)
    np.testing.assert_array_equal(theirs.cells[0].numpy(), ours.cells)
    assert not ours.nuclei[ours.cells == 0].any()
    assert np.unique(ours.cells).size == ours.cells.max() + 1
    if least == 0.0:
        np.testing.assert_array_equal(ours.cells, all_cells.cells)
    else:
        assert 0 < ours.cells.max() < all_cells.cells.max()
