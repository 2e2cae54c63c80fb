from dataclasses import replace

import pytest
import torch

from monitor.network.segnet import Map
from monitor.training.dataset import Batch
from monitor.training.loss import segmentation_loss

SIZE = (2, 16, 16)


def batch_of(nuclei_known: tuple[float, float] = (1.0, 1.0)) -> Batch:
    cell, centre, boundary, nucleus = torch.zeros(4, *SIZE)
    cell[:, 4:12, 4:12] = 1.0
    centre[:, 7:9, 7:9] = 1.0
    boundary[:, 4, 4:12] = 1.0
    nucleus[:, 6:10, 6:10] = 1.0
    return Batch(
        pixels=torch.zeros(2, 1, 16, 16),
        cell=cell,
        cell_centre=centre,
        boundary=boundary,
        nucleus=nucleus,
        nucleus_centre=centre.clone(),
        cells_known=torch.ones(SIZE),
        nuclei_known=torch.ones(SIZE) * torch.tensor(nuclei_known)[:, None, None],
        contact=torch.zeros(SIZE),
    )


def perfect(batch: Batch, sure: float = 30.0) -> torch.Tensor:
    maps = torch.empty(2, len(Map), 16, 16)
    for plane, truth in ((Map.CELL, batch.cell), (Map.BOUNDARY, batch.boundary), (Map.NUCLEUS, batch.nucleus)):
        maps[:, plane] = sure * (2.0 * truth - 1.0)
    maps[:, Map.CELL_CENTRE] = batch.cell_centre
    maps[:, Map.NUCLEUS_CENTRE] = batch.nucleus_centre
    return maps


def noise(seed: int) -> torch.Tensor:
    return torch.randn(2, len(Map), 16, 16, generator=torch.Generator().manual_seed(seed))


def test_perfect_maps_cost_nothing_and_their_opposite_a_lot() -> None:
    batch = batch_of()
    assert segmentation_loss(perfect(batch), batch) == pytest.approx(0.0, abs=1e-3)
    assert segmentation_loss(-perfect(batch), batch) > 50.0
    assert segmentation_loss(perfect(batch, 2.0), batch) < segmentation_loss(perfect(batch, 0.5), batch)


@pytest.mark.parametrize("plane", list(Map))
def test_every_map_counts(plane: Map) -> None:
    batch = batch_of()
    maps = perfect(batch)
    maps[:, plane] = -maps[:, plane] - 1.0
    assert segmentation_loss(maps, batch) > 0.5


@pytest.mark.parametrize("plane", [Map.NUCLEUS, Map.NUCLEUS_CENTRE])
def test_nuclei_are_left_out_where_they_were_not_labelled(plane: Map) -> None:
    batch = batch_of((1.0, 0.0))
    maps = noise(0)
    before = segmentation_loss(maps, batch)
    unlabelled, labelled = maps.clone(), maps.clone()
    unlabelled[1, plane] += 3.0
    labelled[0, plane] += 3.0
    assert segmentation_loss(unlabelled, batch) == before
    assert segmentation_loss(labelled, batch) != before


@pytest.mark.parametrize("plane", [Map.CELL, Map.CELL_CENTRE, Map.BOUNDARY])
def test_cells_are_left_out_where_only_nuclei_are_known(plane: Map) -> None:
    batch = replace(batch_of(), cells_known=torch.zeros(SIZE))
    maps = noise(5)
    other = maps.clone()
    other[:, plane] += 3.0
    assert segmentation_loss(other, batch) == segmentation_loss(maps, batch)
    assert segmentation_loss(-perfect(batch), batch) > 20.0


def test_no_labelled_nuclei_at_all_is_finite_and_leaves_the_cells() -> None:
    batch = batch_of((0.0, 0.0))
    maps = noise(1).requires_grad_()
    loss = segmentation_loss(maps, batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert maps.grad is not None
    assert not maps.grad[:, [Map.NUCLEUS, Map.NUCLEUS_CENTRE]].any()
    assert maps.grad[:, Map.CELL].abs().sum() > 0.0


@pytest.mark.parametrize("plane", list(Map))
def test_what_lies_beyond_the_field_does_not_count(plane: Map) -> None:
    known = torch.ones(SIZE)
    known[:, :, 13:] = 0.0
    batch = replace(batch_of(), cells_known=known, nuclei_known=known)
    maps = noise(2)
    other = maps.clone()
    other[:, plane, :, 13:] += 5.0
    assert segmentation_loss(other, batch) == pytest.approx(float(segmentation_loss(maps, batch)))


def test_a_batch_of_which_nothing_is_known_costs_nothing() -> None:
    batch = replace(batch_of((0.0, 0.0)), cells_known=torch.zeros(SIZE))
    assert segmentation_loss(noise(3), batch) == 0.0


def test_going_down_the_gradient_lowers_the_loss() -> None:
    batch = batch_of()
    maps = noise(4).requires_grad_()
    losses = []
    for _ in range(30):
        loss = segmentation_loss(maps, batch)
        (slope,) = torch.autograd.grad(loss, maps)
        maps = (maps - 5.0 * slope).detach().requires_grad_()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_an_error_between_touching_cells_weighs_more() -> None:
    batch = batch_of()
    contact = torch.zeros(SIZE)
    contact[:, 4:12, 7:9] = 1.0
    wrong = perfect(batch)
    wrong[:, Map.CELL, 6:8, 7:9] *= -1.0
    elsewhere = perfect(batch)
    elsewhere[:, Map.CELL, 6:8, 4:6] *= -1.0
    weighed = replace(batch, contact=contact)
    assert segmentation_loss(wrong, batch) == pytest.approx(float(segmentation_loss(elsewhere, batch)))
    assert segmentation_loss(wrong, weighed) > 2.0 * segmentation_loss(elsewhere, weighed)


def test_contact_says_nothing_where_cells_are_unknown() -> None:
    batch = replace(batch_of(), cells_known=torch.zeros(SIZE), nuclei_known=torch.zeros(SIZE), contact=torch.ones(SIZE))
    assert segmentation_loss(noise(3), batch) == 0.0
