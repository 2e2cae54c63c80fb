"""The floor that engines are held against is counted right."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from monitor.network.segnet import SegmentationNetwork
from services.bench import roofline
from services.bench.roofline import Layer, Rates, layers_of, matmul_s, measured_rates, roofline_s

MEGAPIXEL = (1, 1, 1024, 1024)


@pytest.fixture(scope="module")
def whole() -> SegmentationNetwork:
    return SegmentationNetwork(1.0).eval()


def small() -> SegmentationNetwork:
    return SegmentationNetwork(0.125, 16).eval()


def by_name(layers: list[Layer]) -> dict[str, Layer]:
    return {layer.name: layer for layer in layers}


def test_one_by_one_convolution_counted_by_hand(whole: SegmentationNetwork) -> None:
    layer = by_name(layers_of(whole, (2, 1, 64, 64)))["encoder.stages.1.0.conv1"]  # 256 to 128 at stride 4

    assert layer.flops == 2 * (2 * 16 * 16) * 256 * 128
    assert layer.elements == 2 * 256 * 16 * 16 + 2 * 128 * 16 * 16 + 256 * 128


def test_three_by_three_convolution_with_stride_counted_by_hand(whole: SegmentationNetwork) -> None:
    layer = by_name(layers_of(whole, (2, 1, 64, 64)))["encoder.stages.1.0.conv2"]  # 128 to 128, stride 4 to 8

    assert layer.flops == 2 * (2 * 8 * 8) * 128 * 128 * 9
    assert layer.elements == 2 * 128 * 16 * 16 + 2 * 128 * 8 * 8 + 128 * 128 * 9


def test_sums_read_what_was_kept_and_are_written_twice_but_for_the_last(whole: SegmentationNetwork) -> None:
    layers = by_name(layers_of(whole, (1, 1, 64, 64)))

    in_between, last = layers["encoder.stages.3.1.conv3"], layers["encoder.stages.3.2.conv3"]
    plain = 512 * 2 * 2 + 2048 * 2 * 2 + 512 * 2048
    assert in_between.elements == plain + 2 * 2048 * 2 * 2
    assert last.elements == plain + 2048 * 2 * 2


def test_sums_of_the_decoder_read_the_coarser_features(whole: SegmentationNetwork) -> None:
    layers = by_name(layers_of(whole, (1, 1, 64, 64)))

    assert layers["decoder.enter.2.2"].elements == 1024 * 16 + 96 * 16 + 1024 * 96 + 96 * 4
    assert layers["decoder.enter.3.2"].elements == 2048 * 4 + 96 * 4 + 2048 * 96
    assert layers["decoder.skip.2"].elements == (64 + 48) * 32 * 32 + 64 * 48 + 48 * 16 * 16


def test_arithmetic_of_the_whole_network_at_a_megapixel(whole: SegmentationNetwork) -> None:
    layers = layers_of(whole, MEGAPIXEL)

    encoder = sum(layer.flops for layer in layers if layer.name.startswith("encoder."))
    assert encoder / 1e9 == pytest.approx(167.54, abs=0.01)
    assert sum(layer.flops for layer in layers) / 1e9 == pytest.approx(216.50, abs=0.01)
    assert len(layers) == sum(isinstance(module, torch.nn.Conv2d) for module in whole.modules())


def test_arithmetic_is_what_torch_counts() -> None:
    shape = (2, 1, 96, 64)
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        SegmentationNetwork(0.125, 16).eval()(torch.empty(shape))

    assert sum(layer.flops for layer in layers_of(small(), shape)) == counter.get_total_flops()


def test_floor_of_the_encoder_on_a_large_gpu(whole: SegmentationNetwork) -> None:
    rates = Rates("cuda", "float16", 790e12, 4.3e12)

    assert 1e3 * roofline_s(whole, MEGAPIXEL, rates) == pytest.approx(0.488, abs=0.001)
    assert 1e3 * matmul_s(whole, MEGAPIXEL, rates) == pytest.approx(0.274, abs=0.001)


def test_floor_rises_with_the_frame_and_falls_with_either_rate() -> None:
    network, shape = small(), (1, 1, 128, 128)
    rates = Rates("cpu", "float32", 1e11, 1e10)
    floor = roofline_s(network, shape, rates)

    assert floor >= matmul_s(network, shape, rates)
    assert roofline_s(network, (2, 1, 128, 128), rates) > floor
    assert roofline_s(network, (1, 1, 128, 256), rates) > floor
    assert roofline_s(network, shape, Rates("cpu", "float32", 1e12, 1e10)) <= floor
    assert roofline_s(network, shape, Rates("cpu", "float32", 1e11, 1e11)) < floor


def test_bytes_follow_the_dtype() -> None:
    network, shape = small(), (1, 1, 64, 64)
    floors = {
        dtype: roofline_s(network, shape, Rates("cpu", dtype, 1e30, 1e9)) for dtype in ("float32", "float16", "int8")
    }

    assert floors["float32"] == pytest.approx(2 * floors["float16"]) == pytest.approx(4 * floors["int8"])


def test_network_is_left_as_it_was() -> None:
    network = small().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    layers_of(network, (2, 1, 64, 64))

    assert network.training and not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_rates_are_measured_and_threads_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "MATMUL_SIDE", {"cpu": 128})
    monkeypatch.setattr(roofline, "COPY_BYTES", {"cpu": 2**16})
    before = torch.get_num_threads()

    rates = measured_rates("cpu", torch.float32, threads=before + 1)

    assert (rates.device, rates.dtype) == ("cpu", "float32")
    assert rates.flops_per_s > 0.0 and rates.bytes_per_s > 0.0
    assert torch.get_num_threads() == before


def test_integers_have_no_measured_rate() -> None:
    with pytest.raises(ValueError, match="floating"):
        measured_rates("cpu", torch.int8)
