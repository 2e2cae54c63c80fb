import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import ndimage
from torch.nn import functional

from monitor.training.augment import AugmentSettings, distort, random_affine

NOTHING = AugmentSettings(
    log_scale=0.0,
    invert=0.0,
    log_gain=(0.0, 0.0),
    change_gain=0.0,
    blur=0.0,
    defocus=0.0,
    copy_paste=0.0,
    noise=0.0,
    illumination=0.0,
)


def changed(**chosen: object) -> AugmentSettings:
    return NOTHING.model_copy(update=chosen)


def distorted(source: np.ndarray, random: np.random.Generator, settings: AugmentSettings) -> np.ndarray:
    """Return one crop as it is changed by what the generator draws."""
    noise = torch.Generator().manual_seed(int(random.integers(2**31)))
    return distort(torch.from_numpy(source)[None], random, noise, settings)[0].numpy()


def pixels(side: int = 96) -> np.ndarray:
    return np.random.default_rng(7).normal(0.0, 0.8, (side, side)).astype(np.float32)


def grids(settings: AugmentSettings, count: int = 60, step: float = 1.0) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [grid_of(random_affine(random, (400, 300), 64, step, settings), 64).numpy() for _ in range(count)]


def grid_of(affine: np.ndarray, side: int) -> torch.Tensor:
    return functional.affine_grid(torch.from_numpy(affine)[None], [1, 1, side, side], align_corners=False)[0]


def steps_px(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the step in field pixels (y, x) down a column and along a row of the crop."""
    places = np.stack([grid[..., 1] * 200.0, grid[..., 0] * 150.0], axis=-1)
    return places[1, 0] - places[0, 0], places[0, 1] - places[0, 0]


def test_nothing_asked_changes_nothing() -> None:
    assert (distorted(pixels(), np.random.default_rng(0), NOTHING) == np.clip(pixels(), -6.0, 6.0)).all()


def test_polarity_is_turned_around() -> None:
    assert (distorted(pixels(), np.random.default_rng(0), changed(invert=1.0)) == -pixels()).all()


def test_polarity_is_turned_as_often_as_asked() -> None:
    random = np.random.default_rng(1)
    turned = sum(distorted(pixels(4), random, changed(invert=0.3))[0, 0] == -pixels(4)[0, 0] for _ in range(600))
    assert 0.22 < turned / 600 < 0.38


def test_gain_stays_within_its_range_and_is_one_factor() -> None:
    random = np.random.default_rng(2)
    settings = changed(change_gain=1.0, log_gain=(-1.0, 0.5))
    factors = [distorted(pixels(16), random, settings) / pixels(16) for _ in range(200)]
    assert all(np.ptp(factor) < 1e-4 for factor in factors)
    seen = [float(np.log(factor.mean())) for factor in factors]
    assert -1.001 < min(seen) < -0.9
    assert 0.4 < max(seen) < 0.501


def test_blur_smooths_and_noise_roughens() -> None:
    rough = np.diff(pixels(), axis=0).std()
    assert np.diff(distorted(pixels(), np.random.default_rng(3), changed(blur=1.0)), axis=0).std() < rough
    flat = np.zeros((96, 96), np.float32)
    noisy = distorted(flat, np.random.default_rng(3), changed(noise=1.0))
    assert 0.015 < noisy.std() < 0.35


def test_uneven_light_varies_slowly() -> None:
    uneven = distorted(np.ones((96, 96), np.float32), np.random.default_rng(4), changed(illumination=1.0))
    assert uneven.std() > 0.02
    assert np.abs(np.diff(uneven, axis=0)).max() < 0.05
    assert np.abs(np.diff(uneven, axis=1)).max() < 0.05


def test_pixels_stay_float32_within_the_range_of_the_network_and_the_source_is_left_alone() -> None:
    source = pixels() * 20.0
    before = source.copy()
    found = distorted(source, np.random.default_rng(5), AugmentSettings(blur=1.0, noise=1.0, illumination=1.0))
    assert found.dtype == np.float32
    assert found.shape == source.shape
    assert np.abs(found).max() <= 6.0
    assert (source == before).all()


def test_the_same_seed_gives_the_same_change() -> None:
    first, second, other = (distorted(pixels(), np.random.default_rng(n), AugmentSettings()) for n in (6, 6, 7))
    assert (first == second).all()
    assert (first != other).any()


def test_crops_are_turned_mirrored_and_never_sheared() -> None:
    handed = set()
    angles = []
    for grid in grids(changed(log_scale=0.0)):
        down, along = steps_px(grid)
        assert np.hypot(*down) == pytest.approx(1.0, abs=1e-3)
        assert np.hypot(*along) == pytest.approx(1.0, abs=1e-3)
        assert down @ along == pytest.approx(0.0, abs=1e-3)
        handed.add(bool(down[0] * along[1] - down[1] * along[0] > 0.0))
        angles.append(math.atan2(down[1], down[0]))
    assert handed == {True, False}
    assert np.ptp(angles) > 5.0


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
def test_scale_is_the_step_times_a_random_factor_seldom_far_from_one(step: float) -> None:
    drawn = grids(changed(log_scale=0.6), 300, step=step)
    sizes = [math.log(np.hypot(*steps_px(grid)[0]) / step) for grid in drawn]
    assert -0.601 < min(sizes) < -0.45
    assert 0.45 < max(sizes) < 0.601
    # a triangle: three quarters within half of the range
    assert 0.65 < (np.abs(sizes) < 0.3).mean() < 0.85


def test_the_middle_of_a_crop_lies_within_its_field() -> None:
    middles = np.array([grid.mean((0, 1)) for grid in grids(AugmentSettings())])
    assert np.abs(middles).max() < 1.0
    assert np.ptp(middles, axis=0).min() > 0.5


def test_a_field_smaller_than_the_crop_lies_in_the_middle_of_it() -> None:
    grid = grid_of(random_affine(np.random.default_rng(0), (20, 30), 64, 1.0, NOTHING), 64)
    # within half a pixel of the field
    assert (grid.mean((0, 1)).abs() <= torch.tensor([1.0 / 30, 1.0 / 20]) + 1e-4).all()


def test_an_unturned_grid_reads_the_field_pixel_by_pixel() -> None:
    class Straight:
        """No rotation, no mirror, and always the middle of a pixel in the middle of the field."""

        def uniform(self, low: float, high: float) -> float:
            return 0.0 if low == 0.0 else (low + high) / 2.0 - 0.5

        def random(self) -> float:
            return 1.0

    field = torch.arange(64.0 * 48.0).reshape(64, 48)
    grid = grid_of(random_affine(Straight(), (64, 48), 16, 1.0, NOTHING), 16)  # type: ignore[arg-type]
    found = functional.grid_sample(field[None, None], grid[None], mode="nearest", align_corners=False)[0, 0]
    assert (found == field[24:40, 16:32]).all()


def test_every_crop_of_a_batch_is_changed_in_its_own_way() -> None:
    batch = torch.from_numpy(np.stack([pixels()] * 32))
    random, noise = np.random.default_rng(8), torch.Generator().manual_seed(8)
    found = distort(batch, random, noise, changed(blur=0.5, defocus=0.2, invert=0.5))
    roughness = found.diff(dim=1).std((1, 2))
    untouched = (found.abs() == batch.abs()).all(2).all(1)
    assert 0.2 < untouched.float().mean() < 0.7
    assert roughness[~untouched].unique().numel() == int((~untouched).sum())
    assert roughness[~untouched].max() < roughness[untouched].min()


def test_blur_is_the_gaussian_it_says_to_be() -> None:
    class Wide:
        """Every crop is blurred by 1.8 pixels, and nothing else."""

        def random(self, count: int) -> np.ndarray:
            return np.full(count, 0.5)

        def uniform(self, low: float, high: float, count: int) -> np.ndarray:
            return np.full(count, high)

    found = distort(torch.from_numpy(pixels())[None], Wide(), torch.Generator(), changed(blur=1.0))  # type: ignore[arg-type]
    expected = ndimage.gaussian_filter(pixels().astype(np.float64), 1.8, mode="mirror")
    assert np.abs(found[0].numpy() - expected).max() < 1e-3


@pytest.mark.parametrize("wrong", [{"invert": 1.5}, {"log_scale": -0.1}, {"colour": 1.0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AugmentSettings(**wrong)
