"""The way over a device gives what the way over the CPU gives, step by step and as a whole; torch's CPU stands in."""

import numpy as np
import pytest
import torch
from cases.phantoms import matched_f1, phantom

from monitor.engine.base import DeviceEngine
from monitor.engine.eager import EagerEngine
from monitor.engine.tiled import TiledEngine
from monitor.errors import EngineFailure, FrameRejected
from monitor.frames.frame import Frame
from monitor.frames.normalize import noise_sigma, normalize
from monitor.frames.resample import factor_of, resample
from monitor.network.checkpoint import load_network
from monitor.segmentation import on_device
from monitor.segmentation.device_planes import dilated, gaussian, normalized, resampled
from monitor.segmentation.device_planes import noise_sigma as noise_on_device
from monitor.segmentation.segmenter import Segmentation, Segmenter
from monitor.segmentation.smooth import gaussian_where

SCALE = 0.87


@pytest.fixture(scope="module")
def segmenters() -> tuple[Segmenter, Segmenter]:
    network, card = load_network()
    engine = TiledEngine(EagerEngine(network))
    return Segmenter(engine, card), Segmenter(engine, card, on_device=True)


def test_torch_engines_can_stay_on_their_device() -> None:
    assert isinstance(EagerEngine(load_network()[0]), DeviceEngine)


@pytest.mark.parametrize("sigma", [0.0, 0.8, 2.0, 6.4])
def test_a_gaussian_is_that_of_the_cpu(sigma: float) -> None:
    plane = np.random.default_rng(1).standard_normal((70, 90)).astype(np.float32)
    ours = gaussian_where(plane, sigma, np.ones(plane.shape, bool))
    theirs = gaussian(torch.from_numpy(plane[None]), sigma)[0].numpy()
    np.testing.assert_allclose(theirs, ours, atol=2e-6)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.7])
def test_resampling_is_that_of_the_cpu(factor: float) -> None:
    frame = Frame(phantom(3).pixels, SCALE * factor)
    ours = resample(frame, SCALE)
    theirs = resampled(torch.from_numpy(frame.pixels.astype(np.float32))[None], factor_of(frame, SCALE))[0].numpy()
    assert theirs.shape == ours.shape
    # torch holds the places between pixels in float32: a few 1e-5 of a pixel on a steep edge
    np.testing.assert_allclose(theirs, ours, atol=2e-5 * float(np.ptp(ours)))


def test_normalising_is_that_of_the_cpu() -> None:
    pixels = [phantom(seed).pixels.astype(np.float32) for seed in (1, 2)]
    pixels.append(np.full_like(pixels[0], 700.0))
    found = normalized(torch.from_numpy(np.stack(pixels)), SCALE).numpy()
    for ours, theirs in zip((normalize(some, SCALE) for some in pixels), found, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-4)
    np.testing.assert_allclose(
        noise_on_device(torch.from_numpy(np.stack(pixels))).numpy(), [noise_sigma(some) for some in pixels], rtol=1e-5
    )


def test_masks_grow_over_edges() -> None:
    mask = torch.zeros((1, 7, 7), dtype=torch.bool)
    mask[0, 3, 3] = True
    assert int(dilated(mask, 2).sum()) == 13


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_segmentation_and_quality_are_those_of_the_cpu(
    segmenters: tuple[Segmenter, Segmenter], dtype: type[np.generic]
) -> None:
    frames = []
    for seed in (11, 12, 13):
        pixels = phantom(seed, covered=0.5).pixels.astype(np.float64)
        levels = 250 if dtype is np.uint8 else 65535 if dtype is np.uint16 else 1.0
        spread = (pixels - pixels.min()) / np.ptp(pixels) * levels
        frames.append(Frame(spread.astype(dtype), 1.1))
    ours, theirs = (segmenter.segment(frames) for segmenter in segmenters)
    for one, other in zip(ours, theirs, strict=True):
        assert isinstance(one, Segmentation)
        assert isinstance(other, Segmentation)
        assert one.n_cells > 5
        assert matched_f1(one.cells, other.cells, 0.8) > 0.97
        assert abs(one.n_nuclei - other.n_nuclei) <= 1
        assert one.quality.passes == other.quality.passes
        for name in ("focus", "illumination", "saturated_fraction", "confluency", "doubt", "debris_fraction"):
            assert getattr(other.quality, name) == pytest.approx(getattr(one.quality, name), rel=5e-3, abs=1e-4), name


def test_frames_of_any_kind_come_back_in_their_order(segmenters: tuple[Segmenter, Segmenter]) -> None:
    small = Frame(phantom(3).pixels[:40, :50], 0.87)
    other = Frame(phantom(4).pixels, 0.87)
    broken = Frame(np.full((96, 96), np.nan, np.float32), 0.87)
    usual = [Frame(phantom(seed).pixels, 1.1) for seed in (1, 2)]
    frames = [usual[0], small, broken, other, usual[1]]
    ours, theirs = (segmenter.segment(frames) for segmenter in segmenters)
    assert isinstance(theirs[2], FrameRejected)
    for index in (0, 1, 3, 4):
        one, found = ours[index], theirs[index]
        assert isinstance(one, Segmentation)
        assert isinstance(found, Segmentation)
        assert found.cells.shape == frames[index].shape
        assert abs(one.n_cells - found.n_cells) <= 1


def test_a_device_without_room_leaves_its_frames_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    network, card = load_network()
    engine = EagerEngine(network)

    def full(frames: torch.Tensor) -> torch.Tensor:
        raise EngineFailure("no room", reason="out_of_memory")

    segmenter = Segmenter(engine, card, on_device=True)
    reference = Segmenter(engine, card).segment([Frame(phantom(1).pixels, 1.1)])[0]
    original = engine.maps_on_device
    calls = iter([full])
    monkeypatch.setattr(engine, "maps_on_device", lambda frames: next(calls, original)(frames))
    (found,) = segmenter.segment([Frame(phantom(1).pixels, 1.1)])
    assert isinstance(found, Segmentation)
    assert isinstance(reference, Segmentation)
    np.testing.assert_array_equal(found.cells, reference.cells)


def test_no_room_for_labels_leaves_the_frame_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    network, card = load_network()
    reference = Segmenter(EagerEngine(network), card).segment([Frame(phantom(1).pixels, 1.1)])[0]

    def full(*arguments: object) -> None:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(on_device, "instances_on_device", full)
    (found,) = Segmenter(EagerEngine(network), card, on_device=True).segment([Frame(phantom(1).pixels, 1.1)])
    assert isinstance(found, Segmentation)
    assert isinstance(reference, Segmentation)
    np.testing.assert_array_equal(found.cells, reference.cells)
    assert not torch.is_inference_mode_enabled()


def test_the_way_is_part_of_the_digest(segmenters: tuple[Segmenter, Segmenter]) -> None:
    assert segmenters[0].engine_digest != segmenters[1].engine_digest


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_a_gpu_gives_what_the_cpu_gives() -> None:
    network, card = load_network()
    frames = [Frame(phantom(seed).pixels, 1.1) for seed in range(5)]
    gpu = Segmenter(TiledEngine(EagerEngine(network, device="cuda")), card, on_device=True).segment(frames)
    cpu = Segmenter(TiledEngine(EagerEngine(load_network()[0], device="cpu")), card).segment(frames)
    for one, other in zip(cpu, gpu, strict=True):
        assert isinstance(one, Segmentation)
        assert isinstance(other, Segmentation)
        assert matched_f1(one.cells, other.cells, 0.8) > 0.97
