"""Basins and meetings give the instances of the flood; runs on the CPU, the same code as on a GPU."""

import numpy as np
import pytest
import torch
from cases.phantoms import phantom
from scipy import ndimage

from monitor.network.checkpoint import DecodeSettings
from monitor.network.segnet import PLANES
from monitor.segmentation.device_labels import DeviceInstances, flood_on_device, instances_on_device, without_holes
from monitor.segmentation.flood import flood
from monitor.segmentation.holes import without_holes as without_holes_on_cpu
from monitor.segmentation.labels import instances_of
from monitor.training.targets import boundary_map, centre_map


def maps_of(seed: int, noise: float) -> np.ndarray:
    """Maps as a network gives them that is not quite sure."""
    taken = phantom(seed, covered=0.6)
    random = np.random.default_rng(seed)
    edge = boundary_map(torch.from_numpy(taken.cells)[None])[0].numpy()
    logit = np.where([taken.cells > 0, edge, taken.nuclei > 0], 4.0, -4.0)
    maps = np.stack([logit[0], centre_map(taken.cells), logit[1], logit[2], centre_map(taken.nuclei)])
    scale = np.array([20.0, 1.0, 20.0, 20.0, 1.0])[:, None, None]
    blurred = ndimage.gaussian_filter(random.standard_normal(maps.shape), (0, 2, 2)) * 7.0
    return (maps + noise * scale * blurred).astype(np.float32)


def on_device(maps: np.ndarray, settings: DecodeSettings) -> DeviceInstances:
    return instances_on_device(torch.from_numpy(maps), PLANES, settings, 1.1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bump_um2", [0.0, 150.0])
def test_instances_are_those_of_the_flood(seed: int, bump_um2: float) -> None:
    maps, settings = maps_of(seed, 0.05), DecodeSettings(bump_um2=bump_um2)
    here = instances_of(maps, PLANES, settings, 1.1)
    there = on_device(maps[None], settings)
    assert here.cells.max() > 15
    for kind in ("cells", "nuclei"):
        ours, theirs = getattr(here, kind), getattr(there, kind)[0].numpy()
        assert (ours != theirs).mean() < 1e-4


def test_every_nucleus_lies_in_one_cell() -> None:
    found = on_device(maps_of(7, 0.05)[None], DecodeSettings())
    cells, nuclei = found.cells[0].numpy(), found.nuclei[0].numpy()
    assert nuclei.max() > 5
    for nucleus in range(1, int(nuclei.max()) + 1):
        assert len(np.unique(cells[nuclei == nucleus])) == 1
        assert cells[nuclei == nucleus].min() > 0


def test_frames_of_a_batch_know_nothing_of_one_another() -> None:
    maps = np.stack([maps_of(seed, 0.05) for seed in (1, 2, 3)])
    together = on_device(maps, DecodeSettings())
    for index in range(3):
        alone = on_device(maps[index : index + 1], DecodeSettings())
        assert torch.equal(alone.cells[0], together.cells[index])
        assert torch.equal(alone.nuclei[0], together.nuclei[index])


@pytest.mark.parametrize("persistence", [0.0, 0.4, 1.5, 9.0])
def test_joining_follows_the_flood_pixel_by_pixel_on_a_line(persistence: float) -> None:
    for seed in range(20):
        line = np.random.default_rng(seed).integers(0, 12, (1, 40)).astype(np.float32)
        inside = np.random.default_rng(seed + 99).random((1, 40)) > 0.1
        ours = flood(line, inside, np.zeros(line.shape, np.int32), persistence)
        theirs = flood_on_device(torch.from_numpy(line[None]), torch.from_numpy(inside[None]), None, persistence)[0]
        assert ours.max() == int(theirs.max())


def test_low_and_small_instances_are_left_out_and_names_have_no_gaps() -> None:
    heights = torch.tensor([[[0.0, 0.9, 0.0, 0.2, 0.0, 0.8, 0.7, 0.0, 0.6]]])
    inside = heights > 0.0

    def names(**settings: float) -> list[int]:
        return flood_on_device(heights, inside, None, 0.05, **settings)[0, 0].tolist()

    assert names() == [0, 1, 0, 2, 0, 3, 3, 0, 4]
    assert names(least_peak=0.5) == [0, 1, 0, 0, 0, 2, 2, 0, 3]
    assert names(least_px=2.0) == [0, 0, 0, 0, 0, 1, 1, 0, 0]


def test_nothing_inside_gives_no_instance() -> None:
    empty = torch.zeros((2, 40, 50))
    assert int(flood_on_device(empty, empty > 0, None, 0.1).max()) == 0
    half = torch.stack([empty[0], torch.ones((40, 50))])
    found = flood_on_device(half, half > 0, None, 0.1)
    assert found.amax((1, 2)).tolist() == [0, 1]


def test_walls_keep_instances_apart() -> None:
    height = torch.ones((1, 6, 8))
    within = torch.ones((1, 6, 8), dtype=torch.int32)
    within[:, :, 4:] = 2
    found = flood_on_device(height, height > 0, within, 0.5)
    assert found[0, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("area", [0.0, 5.0, 40.0, 1e9])
def test_holes_are_filled_as_on_the_cpu(area: float) -> None:
    masks = np.random.default_rng(5).random((3, 64, 80)) > 0.45
    masks[2] = False
    filled = without_holes(torch.from_numpy(masks), area).numpy()
    for mask, found in zip(masks, filled, strict=True):
        np.testing.assert_array_equal(found, without_holes_on_cpu(mask, area))


def test_a_long_spiral_is_one_part() -> None:
    spiral = np.zeros((65, 65), bool)
    for ring in range(0, 32, 2):
        spiral[ring, ring : 65 - ring] = spiral[ring : 65 - ring, 64 - ring] = True
        spiral[64 - ring, ring : 65 - ring] = spiral[ring + 2 : 65 - ring, ring] = True
        spiral[ring + 2, ring : ring + 2] = True
    assert ndimage.label(spiral)[1] == 1
    background = torch.from_numpy(~spiral[None])
    area = int(spiral.sum())
    assert not bool(without_holes(background, area)[0][torch.from_numpy(spiral)].any())
    assert bool(without_holes(background, area + 1)[0][torch.from_numpy(spiral)].all())
