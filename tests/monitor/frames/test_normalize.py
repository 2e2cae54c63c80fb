"""One normalisation: nothing of the camera, the lamp or the crowding is left in it."""

import numpy as np
import pytest
from cases.phantoms import PIXEL_SIZE_UM, phantom
from scipy import ndimage

from monitor.errors import FrameRejected
from monitor.frames.normalize import CLIP, background, contrast_scale, noise_sigma, normalize
from monitor.synthetic.optics import Optics
from monitor.synthetic.phantom import Debris


def scale_of(pixels: np.ndarray) -> float:
    frame = pixels.astype(np.float32)
    return contrast_scale(frame - background(frame, PIXEL_SIZE_UM), PIXEL_SIZE_UM)


@pytest.mark.parametrize(("gain", "offset"), [(2.0, 100.0), (0.37, 1000.0), (1.7, 50000.0), (1e-4, -0.3), (0.01, 0.0)])
def test_camera_gain_and_offset_leave_no_trace(gain: float, offset: float):
    pixels = phantom(1).pixels
    changed = pixels.astype(np.float32) * np.float32(gain) + np.float32(offset)

    assert np.abs(normalize(changed, PIXEL_SIZE_UM) - normalize(pixels, PIXEL_SIZE_UM)).max() < 1e-3


def test_dtype_leaves_no_trace():
    pixels = np.right_shift(phantom(1).pixels, 8).astype(np.uint8)

    narrow, wide, floating = (normalize(pixels.astype(kind), 1.1) for kind in (np.uint8, np.uint16, np.float32))

    assert (narrow == wide).all()
    assert (narrow == floating).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 7.0, 1234.567, 65535.0, -3.25])
@pytest.mark.parametrize("shape", [(256, 256), (300, 257)])
def test_constant_frame_gives_zeros(value: float, shape: tuple[int, int]):
    result = normalize(np.full(shape, value, np.float32), 0.87)

    assert result.dtype == np.float32
    assert (result == 0.0).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_not_finite_is_refused(wrong: float):
    pixels = phantom(1).pixels.astype(np.float32)
    pixels[3, 5] = wrong

    with pytest.raises(FrameRejected) as caught:
        normalize(pixels, PIXEL_SIZE_UM)

    assert caught.value.reason == "not_finite"


def test_result_stays_within_the_clip_and_the_frame_is_left_alone():
    pixels = phantom(1).pixels.copy()
    pixels[100:104, 100:104] = 65535
    before = pixels.copy()

    result = normalize(pixels, PIXEL_SIZE_UM)

    assert np.abs(result).max() == CLIP
    assert (pixels == before).all()


def test_uneven_light_is_removed():
    even = phantom(3, optics=Optics(unevenness=0.0))
    uneven = phantom(3, optics=Optics(unevenness=0.25))
    raw = np.corrcoef(even.pixels.ravel(), uneven.pixels.ravel())[0, 1]

    one, other = (normalize(p.pixels, PIXEL_SIZE_UM) for p in (even, uneven))

    assert raw < 0.95
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.97
    assert abs(np.median(other[other.shape[0] // 2 :]) - np.median(other[: other.shape[0] // 2])) < 0.05


def test_tilted_light_alone_hardly_moves_the_background():
    phase = phantom(4, optics=Optics(unevenness=0.0)).pixels.astype(np.float32)
    tilt = np.linspace(0.0, 3000.0, phase.shape[1], dtype=np.float32)[None, :]

    difference = normalize(phase + tilt, PIXEL_SIZE_UM) - normalize(phase, PIXEL_SIZE_UM)

    assert np.abs(np.median(difference, axis=0))[40:-40].max() < 0.1


def test_scale_hardly_depends_on_how_much_is_covered():
    scales = {
        covered: np.mean([scale_of(phantom(seed, covered).pixels) for seed in (11, 12, 13)])
        for covered in (0.12, 0.3, 0.6)
    }

    assert max(scales.values()) / min(scales.values()) < 1.4
    # the whole field's deviation, which is what such a scale is usually taken from, moves far more
    whole = [np.mean([phantom(s, c).pixels.std() for s in (11, 12, 13)]) for c in (0.12, 0.6)]
    assert whole[1] / whole[0] > 1.4


@pytest.mark.parametrize("photons", [1500.0, 12000.0, 60000.0])
def test_noise_floor_keeps_an_empty_field_quiet(photons: float):
    empty = phantom(5, 0.0, optics=Optics(photons=photons), debris=Debris(0, 0))
    assert empty.cells.max() == 0

    result = normalize(empty.pixels, PIXEL_SIZE_UM)

    assert result.std() < 0.5
    assert np.abs(result).max() < 3.0


@pytest.mark.parametrize("sigma", [1.0, 20.0])
def test_noise_is_measured_beside_structure(sigma: float):
    random = np.random.default_rng(3)
    smooth = ndimage.gaussian_filter(random.normal(0.0, 1.0, (256, 256)), 8.0)
    smooth *= 10.0 * sigma / smooth.std()

    assert noise_sigma(smooth + random.normal(0.0, sigma, smooth.shape)) == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("shape", [(32, 32), (33, 500), (256, 40)])
def test_frame_smaller_than_the_window_is_normalised_too(shape: tuple[int, int]):
    pixels = np.random.default_rng(1).integers(100, 200, shape).astype(np.uint16)

    result = normalize(pixels, 0.5)

    assert result.shape == shape
    assert np.isfinite(result).all()
