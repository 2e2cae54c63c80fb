"""Kernels give what the steps in torch give. Without a GPU Triton interprets them; without Triton they are skipped."""

import math
import os

import pytest
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="triton is not installed: it comes with PyTorch for CUDA")

from monitor.engine.fused import FusedNetwork, TorchPasses  # noqa: E402  # after the skip
from monitor.engine.fused_kernels import KernelPasses  # noqa: E402
from monitor.network.segnet import SegmentationNetwork  # noqa: E402
from monitor.segmentation import device_kernels, device_planes, device_quality, device_steps, filter_kernels  # noqa: E402

SHAPES = [(2, 64, 80), (1, 33, 41)]


def levels(shape: tuple[int, ...]) -> torch.Tensor:
    """Hilly levels with gaps, as decoding makes them."""
    torch.manual_seed(1)
    hills = torch.nn.functional.avg_pool2d(torch.rand(shape)[:, None], 5, 1, 2)[:, 0]
    scaled = ((hills - hills.min()) / (hills.max() - hills.min()) * 4095).int()
    return scaled.masked_fill(torch.rand(shape) > 0.85, -1).to(DEVICE)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("area", [0.0, 5.0, 40.0, 1e9])
def test_holes(shape: tuple[int, ...], area: float) -> None:
    torch.manual_seed(2)
    mask = (torch.rand(shape) > 0.45).to(DEVICE)
    assert torch.equal(device_kernels.without_holes(mask, area), device_steps.without_holes(mask, area))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("walled", [False, True])
def test_basins_meetings_and_tallies(shape: tuple[int, ...], walled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_kernels, "MEETINGS_PER_PIXEL", 0.0)
    level = levels(shape)
    stripes = (torch.arange(shape[1])[None, :, None] // 20 + 1).expand(shape).int().contiguous().to(DEVICE)
    within = stripes if walled else None
    basin, peaks = device_kernels.basins(level, within)
    expected, expected_peaks = device_steps.basins(level, within)
    assert torch.equal(basin, expected)
    assert torch.equal(peaks, expected_peaks)
    count = len(peaks)
    assert count > 10
    for ours, theirs in (
        (device_kernels.meetings(basin, level, within, count), device_steps.meetings(basin, level, within, count)),
        (device_kernels.tallies(basin, level, count), device_steps.tallies(basin, level, count)),
    ):
        for one, other in zip(ours, theirs, strict=True):
            assert torch.equal(one, other)
    names = torch.arange(count, dtype=torch.int32, device=DEVICE) * 3
    assert torch.equal(device_kernels.named(basin, names), device_steps.named(basin, names))


@pytest.mark.parametrize("edge", ["mirror", "nearest"])
def test_gaussian(edge: str) -> None:
    planes = torch.randn((2, 40, 50))
    radius = int(device_planes.TRUNCATE * 2.0 + 0.5)
    weights = [math.exp(-0.5 * (offset / 2.0) ** 2) for offset in range(radius + 1)]
    total = 2.0 * sum(weights) - weights[0]
    found = filter_kernels.smoothed(planes.to(DEVICE), [one / total for one in weights], mirror=edge == "mirror")
    assert (found.cpu() - device_planes.gaussian(planes, 2.0, edge=edge)).abs().max() < 1e-5


def test_window_mean() -> None:
    planes = torch.randn((2, 70, 41)) + 100.0
    found = filter_kernels.window_mean(planes.to(DEVICE), 31)
    assert (found.cpu() - device_planes.running_mean(planes, 31)).abs().max() < 1e-3


def test_highest() -> None:
    labels, values = torch.randint(0, 9, (2, 30, 40), dtype=torch.int32), torch.randn((2, 30, 40))
    found = filter_kernels.highest(labels.to(DEVICE), values.to(DEVICE), 9).cpu()
    assert torch.equal(found, device_quality._heights(labels, values, 9))


def test_sums_of_cells() -> None:
    torch.manual_seed(5)
    cells = torch.randint(0, 5, (2, 9, 12), dtype=torch.int32).repeat_interleave(4, 1).repeat_interleave(4, 2)
    cell, boundary, height = (3.0 * torch.randn(cells.shape) for _ in range(3))
    height -= 4.0
    given = [plane.to(DEVICE) for plane in (cells, cell, boundary, height)]
    sums, peaks = (some.cpu() for some in device_kernels.sums(*given, 4))
    expected, expected_peaks = device_steps.sums(cells, cell, boundary, height, 4)
    assert torch.equal(peaks[:, 1:], expected_peaks[:, 1:])
    exact = [0, 2, 4]
    assert torch.equal(sums[:, 1:, exact], expected[:, 1:, exact])
    assert (sums - expected)[:, 1:].abs().max() <= 3  # parts that round the other way


def test_passes_between_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE == "cpu":  # cuDNN is what no interpreter stands in for
        monkeypatch.setattr(KernelPasses, "convolved", TorchPasses.convolved)
    torch.manual_seed(3)
    network = SegmentationNetwork(0.125, 16).eval()
    frames = torch.randn(2, 1, 64, 96)
    with torch.inference_mode():
        expected = network(frames)
        found = FusedNetwork(network, KernelPasses(), device=DEVICE)(frames.to(DEVICE)).cpu()
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()
