"""Between a frame's own grid and the network's scale."""

import numpy as np
import pytest
from cases.phantoms import phantom
from scipy import ndimage

from monitor.frames.frame import Frame
from monitor.frames.resample import MAX_SIDE_PX, pad_to_multiple, resample, restore_labels


def waves(shape: tuple[int, int], pixel_size_um: float) -> np.ndarray:
    y = (np.arange(shape[0]) + 0.5)[:, None] * pixel_size_um
    x = (np.arange(shape[1]) + 0.5)[None, :] * pixel_size_um
    return (1000.0 + 300.0 * np.sin(y / 15.0) * np.cos(x / 18.0)).astype(np.float32)


@pytest.mark.parametrize("size", [0.4, 0.6, 0.86, 0.89, 1.3, 2.0])
def test_same_scene_at_another_pixel_size_is_the_same_scene(size: float):
    extent = 300.0
    shape = (round(extent / size), round(extent / size))
    frame = Frame(waves(shape, size), size)

    result = resample(frame, 0.87)

    assert result.dtype == np.float32
    assert result.shape == (pytest.approx(extent / 0.87, abs=8),) * 2
    truth = waves(result.shape, extent / result.shape[0])
    inner = (slice(12, -12),) * 2
    assert np.abs(result - truth)[inner].max() < 25.0
    assert np.sqrt(((result - truth)[inner] ** 2).mean()) < 10.0


def test_nearly_the_same_pixel_size_leaves_pixels_alone():
    pixels = phantom(1).pixels

    assert (resample(Frame(pixels, 0.87), 0.875) == pixels).all()


def test_reducing_does_not_alias():
    checks = np.indices((400, 400)).sum(0) % 2 * 1000.0

    result = resample(Frame(checks.astype(np.float32), 0.5), 1.9)

    assert np.abs(result[5:-5, 5:-5] - 500.0).max() < 20.0


def test_no_side_grows_beyond_the_limit():
    result = resample(Frame(np.zeros((2, 9000), np.uint8), 3.0), 0.87)

    assert max(result.shape) == MAX_SIDE_PX


def test_tiny_side_is_kept_at_thirty_two():
    assert resample(Frame(np.zeros((40, 400), np.uint8), 0.2), 0.87).shape == (32, 92)


@pytest.mark.parametrize(
    ("size", "shape"), [(0.6, (320, 411)), (1.3, (256, 300)), (0.87, (200, 210)), (0.55, (257, 258))]
)
def test_labels_make_the_round_trip(size: float, shape: tuple[int, int]):
    truth = phantom(7, 0.4, shape_px=shape, pixel_size_um=size).cells
    scaled = resample(Frame(np.zeros(shape, np.uint8), size), 0.87).shape

    there = restore_labels(truth, scaled)
    back = restore_labels(there, shape)

    assert there.shape == scaled
    assert back.shape == shape
    assert back.dtype == np.int32
    interior = ndimage.minimum_filter(truth, 5) == ndimage.maximum_filter(truth, 5)
    assert (back == truth)[interior].all()
    assert set(np.unique(there)) <= set(np.unique(truth))


def test_labels_are_not_shifted():
    labels = np.zeros((100, 100), np.int32)
    labels[40:60, 20:80] = 1

    restored = restore_labels(labels, (250, 130))

    y, x = np.nonzero(restored)
    assert (y.mean() + 0.5) / 250 == pytest.approx(0.5, abs=0.005)
    assert (x.mean() + 0.5) / 130 == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize("shape", [(256, 256), (257, 256), (300, 333), (31, 33), (5, 7), (1, 1)])
def test_padding_brings_both_sides_to_a_multiple(shape: tuple[int, int]):
    pixels = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    padded = pad_to_multiple(pixels)

    assert padded.dtype == np.float32
    assert all(length % 32 == 0 and length - own < 32 for length, own in zip(padded.shape, shape, strict=True))
    assert (padded[: shape[0], : shape[1]] == pixels).all()
    assert (padded is pixels) == (shape == (256, 256))
    if shape == (257, 256):
        assert (padded[257:] == pixels[255:224:-1]).all()
