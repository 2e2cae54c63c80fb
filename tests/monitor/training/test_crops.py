from dataclasses import replace

import numpy as np
import pytest
import torch
from cases.phantoms import phantom

from monitor.training.augment import AugmentSettings
from monitor.training.crops import CropSampler
from monitor.training.dataset import Batch, Field, make_field

STILL = AugmentSettings(
    log_scale=0.0, invert=0.0, change_gain=0.0, blur=0.0, defocus=0.0, copy_paste=0.0, noise=0.0, illumination=0.0
)
CROP = 96


def field_of(number: int = 1, *, nuclei: bool = True) -> Field:
    truth = phantom(number, covered=0.4)
    return make_field(truth.pixels, truth.cells, truth.nuclei if nuclei else None, truth.pixel_size_um)


def told_field() -> Field:
    """A field whose pixels say what its labels are, so that a shift between them is seen."""
    truth = phantom(1, covered=0.4)
    field = make_field(truth.pixels, truth.cells, truth.nuclei, truth.pixel_size_um)
    return replace(field, pixels=(truth.cells > 0).astype(np.float32) + (truth.nuclei > 0))


def sampler(
    *groups: tuple[float, list[Field]], settings: AugmentSettings = STILL, seed: int = 0, pixel_size_um: float = 1.1
) -> CropSampler:
    return CropSampler(groups, pixel_size_um=pixel_size_um, crop_px=CROP, settings=settings, seed=seed)


def parts(batch: Batch) -> dict[str, torch.Tensor]:
    return {name: getattr(batch, name) for name in Batch.__slots__}


def test_a_field_without_labelled_nuclei_says_so() -> None:
    field = field_of(nuclei=False)
    assert field.cells_known.all() and not field.nuclei_known.any()
    assert not field.nuclei.any()
    assert not field.nucleus_centre.any()
    batch = sampler((1.0, [field])).batch(3)
    assert not batch.nuclei_known.any()
    assert not batch.nucleus.any()


def test_a_batch_has_the_shapes_and_ranges_it_promises() -> None:
    batch = sampler((1.0, [field_of(1), field_of(2)]), settings=AugmentSettings()).batch(5)
    assert batch.pixels.shape == (5, 1, CROP, CROP)
    for name, part in parts(batch).items():
        assert part.dtype == torch.float32, name
        assert torch.isfinite(part).all(), name
        if name != "pixels":
            assert part.shape == (5, CROP, CROP), name
            assert part.min() >= 0.0 and part.max() <= 1.0 + 1e-6, name
    for part in (batch.cell, batch.boundary, batch.nucleus, batch.cells_known, batch.nuclei_known):
        assert set(part.unique().tolist()) <= {0.0, 1.0}


def test_pixels_and_labels_stay_aligned_through_rotation_mirror_and_scale() -> None:
    turning = STILL.model_copy(update={"log_scale": 0.6})
    batch = sampler((1.0, [told_field()]), settings=turning).batch(12)
    shown = batch.pixels[:, 0]
    # the pixels say 1 in a cell and 2 in a nucleus; between two pixels lies a mixture
    assert ((shown > 0.5) == (batch.cell > 0)).float().mean() > 0.995
    assert ((shown > 1.5) == (batch.nucleus > 0)).float().mean() > 0.995
    assert batch.cell.mean() > 0.1
    assert batch.nucleus.mean() > 0.01


def test_centres_lie_inside_and_boundaries_at_the_edge() -> None:
    batch = sampler((1.0, [field_of()]), settings=AugmentSettings()).batch(6)
    assert not batch.cell_centre[batch.cell == 0].any()
    assert not batch.nucleus_centre[batch.nucleus == 0].any()
    assert batch.cell_centre.max() > 0.8
    near = torch.nn.functional.max_pool2d(batch.cell[:, None], 3, 1, 1)[:, 0]
    assert not batch.boundary[near == 0].any()
    assert 0.0 < batch.boundary.sum() < batch.cell.sum()


def test_what_lies_beyond_the_field_is_not_known() -> None:
    truth = phantom(1, covered=0.4)
    small = make_field(truth.pixels[:40, :40], truth.cells[:40, :40], None, truth.pixel_size_um)
    batch = sampler((1.0, [small])).batch(4)
    assert batch.cells_known.mean() == pytest.approx((40 / CROP) ** 2, rel=0.05)
    assert not batch.cell[batch.cells_known == 0].any()
    assert (batch.pixels[:, 0][batch.cells_known == 0] == 0.0).float().mean() > 0.95
    whole = sampler((1.0, [field_of()])).batch(4)
    assert whole.cells_known.mean() > 0.8


def test_crops_are_at_the_scale_of_the_network() -> None:
    coarse = sampler((1.0, [field_of()]), pixel_size_um=2.2).batch(8)
    fine = sampler((1.0, [field_of()]), pixel_size_um=0.55).batch(8)

    def outline_share(batch: Batch) -> float:
        return float(batch.boundary.sum() / batch.cell.sum())

    # the coarser the grid, the more of a cell is outline
    assert outline_share(coarse) > 2.0 * outline_share(fine)


def test_groups_are_drawn_by_their_shares() -> None:
    labelled, bare = field_of(1), field_of(2, nuclei=False)
    batch = sampler((3.0, [labelled]), (1.0, [bare]), (5.0, []), (0.0, [bare])).batch(120)
    with_nuclei = batch.nuclei_known.amax((1, 2))
    assert 0.62 < with_nuclei.mean() < 0.88


def test_the_same_seed_draws_the_same_crops() -> None:
    fields = [field_of(1), field_of(2)]
    first, again, other = (sampler((1.0, fields), settings=AugmentSettings(), seed=n).batch(3) for n in (4, 4, 5))
    for name, part in parts(first).items():
        assert torch.equal(part, parts(again)[name]), name
    assert not torch.equal(first.pixels, other.pixels)


def test_a_sampler_goes_on_with_new_crops() -> None:
    one = sampler((1.0, [field_of()]))
    assert not torch.equal(one.batch(2).pixels, one.batch(2).pixels)


def test_labels_known_in_part_are_known_there_only() -> None:
    truth = phantom(1, covered=0.4)
    left = np.zeros(truth.pixels.shape, bool)
    left[:, : left.shape[1] // 2] = True
    field = make_field(truth.pixels, None, truth.nuclei, truth.pixel_size_um, nuclei_known=left)
    assert not field.cells_known.any() and not field.cells.any()
    assert (field.nuclei_known == left).all()
    batch = sampler((1.0, [field])).batch(8)
    assert not batch.cells_known.any()
    assert 0.2 < batch.nuclei_known.mean() < 0.8
