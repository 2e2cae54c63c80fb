"""The network in fewer passes gives the maps of the network; torch on the CPU stands in for the kernels."""

import numpy as np
import pytest
import torch
from torch import nn

from monitor.engine.eager import EagerEngine
from monitor.engine.fused import FusedEngine, FusedNetwork, TorchPasses
from monitor.errors import EngineFailure
from monitor.network.checkpoint import load_network
from monitor.network.segnet import SegmentationNetwork

FRAMES = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 1, 96, 128)).astype(np.float32))


def trained(width: float = 0.125, channels: int = 16) -> SegmentationNetwork:
    """A small network whose normalisations have statistics of their own."""
    torch.manual_seed(4)
    network = SegmentationNetwork(width, channels)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.2)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0.0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return network.eval()


@pytest.mark.parametrize("network", [trained(), load_network()[0]], ids=["small", "shipped"])
def test_maps_are_those_of_the_network(network: SegmentationNetwork) -> None:
    with torch.inference_mode():
        expected, found = network(FRAMES), FusedNetwork(network, TorchPasses())(FRAMES)
    assert expected.std() > 0.1
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_half_precision_rounds_and_no_more() -> None:
    network = load_network()[0]
    with torch.inference_mode():
        expected = network(FRAMES)
        found = FusedNetwork(network, TorchPasses(), dtype=torch.float16)(FRAMES.half())
    assert found.dtype == torch.float16
    assert (found.float() - expected).abs().mean() < 1e-3 * expected.abs().mean()


def test_the_network_is_left_as_it_was() -> None:
    network = trained()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    FusedNetwork(network, TorchPasses(), dtype=torch.float16)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_the_engine_says_so() -> None:
    with pytest.raises(EngineFailure, match="GPU") as caught:
        FusedEngine(trained())
    assert caught.value.reason == "no_gpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_on_a_gpu_maps_are_those_of_eager() -> None:
    batch = FRAMES.numpy()
    engine, eager = FusedEngine(load_network()[0]), EagerEngine(load_network()[0], device="cuda")
    for count in (1, 2):
        expected = eager(batch[:count])
        assert np.abs(engine(batch[:count]) - expected).mean() < 3e-3 * np.abs(expected).mean()
