"""How fast the network could be here: per layer, the longer of its arithmetic and its memory traffic.

The roofline (Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance model for multicore
architectures", Communications of the ACM 52:65) taken layer by layer and summed: layers run one after the other, so one
that waits for memory cannot lend its idle arithmetic to the next. Both rates are measured, not read from a data sheet,
in the process that they are compared with.

What counts: each convolution reads its input and its weights once and writes its output once. Normalisation, activation
and bias are fused into the convolution before or after. Two things of a pre-activation network cannot be: the sum at
the end of a block reads what the shortcut kept, and it is written twice, as it is and normalised for the next block
(once after the last block, whose sum nobody reads as it is). Each sum in the decoder reads the coarser features that it
enlarges. Pooling and enlarging as steps of their own, and the shuffle, are not counted: this is a floor.

Multiplications are those of convolutions that are summed directly. Who needs fewer, as Winograd's of `openvino` in
fp32, may be faster than this floor.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from monitor.network.preact import PreActBottleneck
from monitor.network.segnet import SegmentationNetwork

MATMUL_SIDE = {"cpu": 2048, "cuda": 8192}
COPY_BYTES = {"cpu": 2**28, "cuda": 2**30}
"""More than any cache holds."""
REPEATS = {"cpu": 5, "cuda": 20}


@dataclass(frozen=True, slots=True)
class Rates:
    """What a device reaches at best: multiply-adds of a matrix product counted as two, bytes read plus bytes written.

    device: `cpu` or `cuda`; dtype: as torch names it, such as `float16`.
    """

    device: str
    dtype: str
    flops_per_s: float
    bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution with what is fused into it.

    flops: two for each multiply-add; elements: input, output, weights and residual reads and writes; times the size of
    the dtype it is the traffic in bytes.
    """

    name: str
    flops: float
    elements: float


def measured_rates(device: str, dtype: torch.dtype, *, threads: int | None = None) -> Rates:
    """Measure a square matrix product and a large copy on `device`; the best of several, after one to warm up.

    Parameters
    ----------
    dtype
        A floating one. On a processor without arithmetic for it the product is slow, as the network would be.
    threads
        Of torch, for the measurement only; None leaves them as they are. Without meaning on a GPU.

    Raises
    ------
    ValueError
        `dtype` is not a floating one: torch multiplies no matrices of integers on a GPU.
    """
    if not dtype.is_floating_point:
        raise ValueError(f"rates are measured in a floating dtype, not {dtype}")
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            return Rates(device, _name(dtype), _flops_per_s(device, dtype), _bytes_per_s(device))
    finally:
        torch.set_num_threads(before)


def layers_of(network: SegmentationNetwork, shape: tuple[int, int, int, int]) -> list[Layer]:
    """Return every convolution in the order in which it runs on [B, 1, H, W] frames, H and W multiples of 32.

    Nothing is computed: shapes are followed on torch's meta device, and the network stays as it is.
    """
    names = {module: name for name, module in network.named_modules()}
    found: dict[str, Layer] = {}

    def convolved(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        weights = module.weight.numel()
        # weights hold Cin / groups * Cout * kernel, and each output pixel uses all of them once
        flops = 2.0 * weights * output.numel() / output.shape[1]
        found[names[module]] = Layer(names[module], flops, float(given[0].numel() + output.numel() + weights))

    def added(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        last = f"{names[module]}.conv3"
        found[last] = replace(found[last], elements=found[last].elements + 2.0 * output.numel())

    hooks = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(convolved))
        elif isinstance(module, PreActBottleneck):
            hooks.append(module.register_forward_hook(added))
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    try:
        with torch.no_grad():
            shapes = {name: torch.empty_like(value, device="meta") for name, value in state.items()}
            functional_call(network, shapes, (torch.empty(shape, device="meta"),))
    finally:
        for hook in hooks:
            hook.remove()
    return [_corrected(network, layer, shape) for layer in found.values()]


def roofline_s(network: SegmentationNetwork, shape: tuple[int, int, int, int], rates: Rates) -> float:
    """Return the least seconds for one [B, 1, H, W] batch: sum over layers of the longer of arithmetic and traffic."""
    size = _dtype(rates.dtype).itemsize
    return sum(
        max(layer.flops / rates.flops_per_s, layer.elements * size / rates.bytes_per_s)
        for layer in layers_of(network, shape)
    )


def matmul_s(network: SegmentationNetwork, shape: tuple[int, int, int, int], rates: Rates) -> float:
    """Return the seconds for one [B, 1, H, W] batch if every layer ran as fast as the matrix product."""
    return sum(layer.flops for layer in layers_of(network, shape)) / rates.flops_per_s


def _corrected(network: SegmentationNetwork, layer: Layer, shape: tuple[int, int, int, int]) -> Layer:
    """Return a layer with what the sums of the decoder read, and the last block's without a second write."""
    pixels = float(shape[0] * shape[2] * shape[3])
    stages = network.encoder.stages
    if layer.name == f"encoder.stages.{len(stages) - 1}.{len(stages[-1]) - 1}.conv3":  # type: ignore[arg-type]
        return replace(layer, elements=layer.elements - network.encoder.channels[-1] * pixels / 32**2)
    lateral = {f"decoder.enter.{index}.2": (8 * 2**index, network.decoder.narrow.in_channels) for index in range(3)}
    lateral["decoder.skip.2"] = (4, network.decoder.narrow.out_channels)
    if layer.name in lateral:
        stride, channels = lateral[layer.name]
        return replace(layer, elements=layer.elements + channels * pixels / stride**2)
    return layer


def matrix_products(device: str, dtype: torch.dtype, side: int) -> list[Callable[[], object]]:
    """Return the ways in which torch multiplies two square matrices here; the fastest of them is the device's.

    On a CPU in float32 there are two libraries, and which is faster depends on who made the processor: that of `mm`,
    and oneDNN, which convolutions use.
    """
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(one)
    ways: list[Callable[[], object]] = [lambda: torch.mm(one, other, out=out)]
    if one.device.type == "cpu" and dtype is torch.float32 and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        rows, weights = one.to_mkldnn(), other.to_mkldnn()
        ways.append(lambda: torch._C._nn.mkldnn_linear(rows, weights, None))  # what torch.utils.mkldnn calls
    return ways


def _flops_per_s(device: str, dtype: torch.dtype) -> float:
    side = MATMUL_SIDE[torch.device(device).type]
    return 2.0 * side**3 / min(_least_s(device, way) for way in matrix_products(device, dtype, side))


def _bytes_per_s(device: str) -> float:
    source = torch.zeros(COPY_BYTES[torch.device(device).type] // 4, device=device)
    target = torch.empty_like(source).fill_(1.0)  # written once, so that its pages exist
    return 2.0 * source.numel() * 4 / _least_s(device, lambda: target.copy_(source))


def _least_s(device: str, call: Callable[[], object]) -> float:
    """Return the least time of a call in seconds; on a GPU by its own clock."""
    kind = torch.device(device).type
    call()
    if kind == "cpu":
        times = []
        for _ in range(REPEATS[kind]):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        return min(times)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(REPEATS[kind] + 1)]  # type: ignore[no-untyped-call]
    events[0].record()
    for event in events[1:]:
        call()
        event.record()
    torch.cuda.synchronize()
    between = [float(one.elapsed_time(other)) for one, other in itertools.pairwise(events)]
    return 1e-3 * min(between)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name)
    assert isinstance(found, torch.dtype)
    return found
