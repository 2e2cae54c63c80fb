"""The network is what its name says: PreAct-ResNet50, light shared decoder, five maps."""

import pytest
import torch
from torch import nn

from monitor.network.decoder import TopDownDecoder
from monitor.network.preact import BLOCKS, PreActBottleneck, PreActResNet50
from monitor.network.segnet import Map, SegmentationNetwork


def parameters_of(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small() -> SegmentationNetwork:
    torch.manual_seed(1)
    return SegmentationNetwork(0.125, 16).eval()


def test_encoder_has_the_block_structure_of_resnet_50():
    encoder = PreActResNet50()

    assert BLOCKS == (3, 4, 6, 3)
    assert [len(stage) for stage in encoder.stages] == [3, 4, 6, 3]
    convolutions = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 1 + 16 * 3 + 4  # stem, three in each of 16 blocks, one shortcut per stage
    assert all(convolution.groups == 1 for convolution in convolutions)
    assert all(convolution.bias is None for convolution in convolutions)


@pytest.mark.parametrize(
    ("width", "channels", "encoder", "whole"),
    [(0.5, [32, 128, 256, 512, 1024], 5.88, 6.46), (1.0, [64, 256, 512, 1024, 2048], 23.49, 24.26)],
)
def test_size_of_the_network(width: float, channels: list[int], encoder: float, whole: float):
    network = SegmentationNetwork(width)

    assert network.encoder.channels == channels
    assert parameters_of(network.encoder) / 1e6 == pytest.approx(encoder, abs=0.01)
    assert parameters_of(network) / 1e6 == pytest.approx(whole, abs=0.01)


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_maps_have_the_size_of_the_frame(width: float):
    network = SegmentationNetwork(width).eval()

    with torch.inference_mode():
        features = network.encoder(torch.zeros(1, 1, 64, 96))
        maps = network(torch.zeros(1, 1, 64, 96))

    assert [tuple(f.shape[2:]) for f in features] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert [f.shape[1] for f in features] == network.encoder.channels
    assert maps.shape == (1, len(Map), 64, 96)


def test_order_of_the_maps_is_part_of_the_weights():
    assert [(m.name, m.value) for m in Map] == [
        ("CELL", 0),
        ("CELL_CENTRE", 1),
        ("BOUNDARY", 2),
        ("NUCLEUS", 3),
        ("NUCLEUS_CENTRE", 4),
    ]


def test_block_normalises_before_it_convolves():
    block = PreActBottleneck(16, 4, 1).eval()
    seen: list[str] = []
    for name in ("norm1", "conv1", "norm2", "conv2", "norm3", "conv3"):
        getattr(block, name).register_forward_hook(lambda *_, name=name: seen.append(name))

    block(torch.randn(1, 16, 8, 8))

    assert seen == ["norm1", "conv1", "norm2", "conv2", "norm3", "conv3"]


def test_fresh_block_is_the_identity_along_its_shortcut():
    x = torch.randn(2, 16, 8, 8)
    block = PreActBottleneck(16, 4, 1).eval()

    assert block.shortcut is None
    assert torch.equal(block(x), x)


def test_shortcut_that_reshapes_sees_the_activated_input():
    block = PreActBottleneck(8, 4, 2).eval()
    x = torch.randn(2, 8, 8, 8)
    assert block.shortcut is not None

    expected = block.shortcut(torch.relu(block.norm1(x)))

    assert torch.equal(block(x), expected)
    assert expected.shape == (2, 16, 4, 4)


def test_evaluation_gives_the_same_maps_twice_and_whatever_the_neighbours():
    network = small()
    frames = torch.randn(3, 1, 64, 64)

    with torch.inference_mode():
        together, again = network(frames), network(frames)
        alone = network(frames[1:2])

    assert torch.equal(together, again)
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_every_parameter_learns():
    network = SegmentationNetwork(0.125, 16).train()
    for block in network.modules():
        if isinstance(block, PreActBottleneck):
            nn.init.normal_(block.conv3.weight, std=0.1)  # zero at the start, and then nothing below it learns yet

    network(torch.randn(2, 1, 64, 64)).square().sum().backward()

    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_side_that_is_no_multiple_of_32_does_not_pass_unnoticed():
    with torch.inference_mode(), pytest.raises(RuntimeError):
        small()(torch.zeros(1, 1, 64, 72))


def test_decoder_uses_every_stride():
    torch.manual_seed(2)
    decoder = TopDownDecoder([4, 8, 8, 8, 8], 8, 5).eval()
    features = [torch.randn(1, c, 64 // 2**k, 64 // 2**k) for k, c in enumerate([4, 8, 8, 8, 8], start=1)]

    with torch.inference_mode():
        base = decoder(features)
        for index in range(5):
            changed = [f + 1.0 if k == index else f for k, f in enumerate(features)]
            assert not torch.equal(decoder(changed), base), f"stride {2 ** (index + 1)} does not matter"
