"""Winograd's convolutions against direct ones in float64; none of it depends on threads, nor on what lies elsewhere."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from monitor.network.segnet import SegmentationNetwork
from monitor.winograd.convolution import CHUNK, Pointwise, Winograd
from monitor.winograd.fine_decoder import CoarseHalf, FineDecoder
from monitor.winograd.tiles import LANES

WORST = 3e-5
"""Share of the largest value that the transforms in float32 may be off."""


def plane(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def direct(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> torch.Tensor:
    source = torch.from_numpy(x).double().permute(2, 0, 1)[None]
    return functional.conv2d(source, torch.from_numpy(weight), torch.from_numpy(bias), padding=1)[0]


def close(found: np.ndarray, expected: torch.Tensor) -> bool:
    return float(np.abs(found - expected.numpy()).max()) < WORST * float(expected.abs().max())


@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.parametrize("raised", [True, False])
@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (4, 40), (64, 12), (52, 48)])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (2, 3), (6, 6), (3, 5)])
def test_a_plane(inputs: int, outputs: int, rows: int, columns: int, raised: bool, rectified: bool) -> None:
    x = plane(1, rows, columns, inputs * LANES)
    coarse = plane(2, rows // 2, columns // 2, inputs * LANES) if raised else None
    weight = np.random.default_rng(3).normal(size=(outputs * LANES, inputs * LANES, 3, 3))
    bias = np.random.default_rng(4).normal(size=outputs * LANES)
    found = np.full((rows, columns, outputs * LANES), np.nan, np.float32)

    Winograd(weight, bias, rectified=rectified).run(x, found, 3, coarse)

    whole = x if coarse is None else x + coarse.repeat(2, 0).repeat(2, 1)
    expected = direct(whole, weight, bias).permute(1, 2, 0)
    assert close(found, expected.relu() if rectified else expected)


def test_maps_are_shuffled_as_by_torch() -> None:
    x, maps = plane(1, 20, 36, LANES), np.full((5, 40, 72), np.nan, np.float32)
    weight, bias = np.zeros((20 + -20 % LANES, LANES, 3, 3)), np.zeros(20 + -20 % LANES)
    weight[:20], bias[:20] = np.random.default_rng(3).normal(size=(20, LANES, 3, 3)), np.arange(20.0)

    Winograd(weight, bias, rectified=False, shuffled=True).run(x, maps, 3)

    assert close(maps, functional.pixel_shuffle(direct(x, weight, bias)[None, :20], 2)[0])


def test_the_threads_change_nothing_and_neither_does_the_rest_of_the_frame() -> None:
    x = plane(5, 64, 80, LANES)
    assert x.shape[0] // 4 * (x.shape[1] // 4) > 2 * CHUNK
    part = Winograd(np.random.default_rng(6).normal(size=(LANES, LANES, 3, 3)), np.zeros(LANES), rectified=False)
    one, three, left = (np.empty_like(x[:, :columns]) for columns in (80, 80, 40))

    part.run(x, one, 1)
    part.run(x, three, 3)
    part.run(np.ascontiguousarray(x[:, :40]), left, 2)

    assert np.array_equal(one, three)
    assert np.array_equal(one[:, :36], left[:, :36])


def test_pointwise() -> None:
    x, weight = plane(7, 8, 12, 2 * LANES), np.random.default_rng(8).normal(size=(3 * LANES, 2 * LANES))
    found = np.empty((8, 12, 3 * LANES), np.float32)
    Pointwise(weight).run(x, found, 2)
    np.testing.assert_allclose(found, x.astype(np.float64) @ weight.T, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(32, 32), (96, 64)])
def test_both_parts_together_are_the_network(shape: tuple[int, int]) -> None:
    torch.manual_seed(9)
    network = SegmentationNetwork(0.125, 2 * LANES).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as after training: nothing is where it began
            module.running_mean.normal_(0.0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
            module.bias.data.normal_(0.0, 0.1)
    assert FineDecoder.fits(network.decoder)
    frame, maps = torch.randn(1, 1, *shape), np.full((5, *shape), np.nan, np.float32)
    decoder = FineDecoder(network.decoder, threads=2)
    with torch.inference_mode():
        expected = network(frame)[0].double()
        planes = [one[0].contiguous().numpy() for one in CoarseHalf(network)(frame)]
    for _ in range(2):  # the second time in memory that was used
        decoder(*[plane.copy() for plane in planes], maps)
        assert close(maps, expected)


def test_other_channels_are_refused() -> None:
    assert not FineDecoder.fits(SegmentationNetwork(0.125, LANES).decoder)
