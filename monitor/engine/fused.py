"""The network for a GPU with everything between convolutions in as few passes as the memory allows.

Two of three normalisations of a block go into the weights of the convolution before them, which ends in its activation;
the third goes with the sum before it into one kernel (`fused_kernels`). All sizes of batch and frame that occur are
kept as CUDA graphs. Nothing is built ahead: the kernels are compiled when they are first used.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.engine.buckets import BucketedEngine
from monitor.errors import EngineFailure
from monitor.network.decoder import Refine
from monitor.network.folding import Affine, affine_of, folded
from monitor.network.preact import PreActBottleneck
from monitor.network.segnet import SegmentationNetwork

Convolution = tuple[Tensor, Tensor | None]
"""Weight and bias."""


class Passes(Protocol):
    """What is done between convolutions, on [B, C, H, W] activations that are channels last in memory."""

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        """Return the rectified convolution, padded to keep the size but for the stride."""

    def activated(
        self, x: Tensor, added: Tensor | None, affines: Sequence[Affine], *, keep: bool
    ) -> tuple[Tensor | None, list[Tensor]]:
        """Return x + added, if it is kept, and its rectified affine images, one or two."""

    def raised(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Return `coarse`, every pixel four times, plus `fine`."""


class TorchPasses:
    """The passes in torch, for any device: what the kernels have to give."""

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        """See `Passes`."""
        return functional.conv2d(x, weight, bias, stride, weight.shape[2] // 2).relu_()

    def activated(
        self, x: Tensor, added: Tensor | None, affines: Sequence[Affine], *, keep: bool
    ) -> tuple[Tensor | None, list[Tensor]]:
        """See `Passes`."""
        whole = x if added is None else x + added
        wide = whole.float()
        images = [
            (wide * scale[:, None, None] + shift[:, None, None]).clamp_min(0.0).to(x.dtype) for scale, shift in affines
        ]
        return whole if keep else None, images

    def raised(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """See `Passes`."""
        return functional.interpolate(coarse, scale_factor=2.0, mode="nearest") + fine


@dataclass(frozen=True, slots=True)
class _Block:
    """A bottleneck: its normalisation, its convolutions with the other two in them, its shortcut if it reshapes."""

    enter: Affine
    narrow: tuple[Tensor, Tensor]
    middle: tuple[Tensor, Tensor]
    widen: Tensor
    shortcut: Tensor | None
    stride: int


class FusedNetwork:
    """A network in evaluation mode as a chain of convolutions and passes; the same maps up to rounding.

    Parameters
    ----------
    network
        Float32 on the CPU. It is read, not changed.
    passes
        `TorchPasses`, or `fused_kernels.KernelPasses` on a GPU.
    """

    def __init__(
        self, network: SegmentationNetwork, passes: Passes, *, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self._passes, self._device, self._dtype = passes, device, dtype
        encoder, decoder = network.encoder, network.decoder
        self._stem = self._held(encoder.stem.weight)
        self._stages = [[self._block(block) for block in _modules(stage)] for stage in encoder.stages]
        entries = [list(_modules(entry)) for entry in decoder.enter]
        self._enter = [(self._affine(norm), self._convolution(conv)) for norm, _, conv in entries]
        norm, _, conv = _modules(decoder.skip)
        self._skip = self._affine(norm), self._convolution(conv)
        self._refine = [self._refined(refine) for refine in decoder.refine]
        self._narrow, self._head = self._convolution(decoder.narrow), self._convolution(decoder.head)
        self._fine = [self._refined(refine) for refine in _modules(decoder.fine)]

    def __call__(self, frames: Tensor) -> Tensor:
        """Map [B, 1, H, W] to [B, K, H, W] of the same dtype."""
        stem = functional.conv2d(frames, self._stem, None, 2, 3).contiguous(memory_format=torch.channels_last)
        _, (skip,) = self._passes.activated(stem, None, [self._skip[0]], keep=False)
        features = self._encoded(functional.max_pool2d(stem, 3, 2, 1))
        entered = [functional.conv2d(x, *conv) for x, (_, conv) in zip(features, self._enter, strict=True)]
        y = self._passes.convolved(entered[-1], *self._refine[-1], 1)
        for refine, lateral in zip(self._refine[-2::-1], entered[-2::-1], strict=True):
            y = self._passes.convolved(self._passes.raised(y, lateral), *refine, 1)
        y = self._passes.raised(functional.conv2d(y, *self._narrow), functional.conv2d(skip, *self._skip[1]))
        for refine in self._fine:
            y = self._passes.convolved(y, *refine, 1)
        return functional.pixel_shuffle(functional.conv2d(y, *self._head, padding=1), 2)

    def _encoded(self, pooled: Tensor) -> list[Tensor]:
        """Return what enters the decoder after each stage, activated."""
        blocks = [block for stage in self._stages for block in stage]
        ends = {sum(len(stage) for stage in self._stages[: index + 1]) - 1: index for index in range(len(self._stages))}
        features: list[Tensor] = []
        held, (active,) = self._passes.activated(pooled, None, [blocks[0].enter], keep=True)
        for index, block in enumerate(blocks):
            kept = held if block.shortcut is None else functional.conv2d(active, block.shortcut, None, block.stride)
            y = self._passes.convolved(active, *block.narrow, 1)
            y = functional.conv2d(self._passes.convolved(y, *block.middle, block.stride), block.widen)
            following = blocks[index + 1] if index + 1 < len(blocks) else None
            affines = [following.enter] if following else []
            if index in ends:
                affines.append(self._enter[ends[index]][0])
            assert kept is not None
            # the sum itself is needed only where the next block adds to it
            keep = following is not None and following.shortcut is None
            held, images = self._passes.activated(kept, y, affines, keep=keep)
            active = images[0]
            if index in ends:
                features.append(images[-1])
        return features

    def _block(self, block: nn.Module) -> _Block:
        assert isinstance(block, PreActBottleneck)
        return _Block(
            enter=self._affine(block.norm1),
            narrow=self._folded(block.conv1, block.norm2),
            middle=self._folded(block.conv2, block.norm3),
            widen=self._held(block.conv3.weight),
            shortcut=None if block.shortcut is None else self._held(block.shortcut.weight),
            stride=block.conv2.stride[0],
        )

    def _refined(self, refine: nn.Module) -> tuple[Tensor, Tensor]:
        assert isinstance(refine, Refine)
        return self._folded(refine.conv, refine.norm)

    def _folded(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
        """Return weight and bias of a convolution that ends normalised."""
        weight, bias = folded(conv, norm)
        return self._held(weight), self._held(bias)

    def _convolution(self, conv: nn.Module) -> Convolution:
        assert isinstance(conv, nn.Conv2d)
        return self._held(conv.weight), None if conv.bias is None else self._held(conv.bias)

    def _affine(self, norm: nn.Module) -> Affine:
        assert isinstance(norm, nn.BatchNorm2d)
        scale, shift = affine_of(norm)
        return scale.float().to(self._device), shift.float().to(self._device)

    def _held(self, value: Tensor) -> Tensor:
        held = value.detach().to(self._device, self._dtype)
        return held.contiguous(memory_format=torch.channels_last) if held.dim() == 4 else held


def _modules(parts: nn.Module) -> list[nn.Module]:
    return list(parts.children())


class FusedEngine(BucketedEngine):
    """See `SegmentationEngine`; float16 on a GPU, in buckets with CUDA graphs.

    Raises
    ------
    EngineFailure
        `no_gpu`; `compiler` when there is none for kernels, or it fails.
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        if not torch.cuda.is_available():
            raise EngineFailure("there is no GPU here that this PyTorch can use", reason="no_gpu")
        try:
            from monitor.engine.fused_kernels import KernelPasses
        except ImportError as error:
            message = "kernels cannot be compiled here: install triton, which PyTorch for CUDA brings along"
            raise EngineFailure(message, reason="compiler") from error
        passes: Passes = KernelPasses()
        super().__init__(FusedNetwork(network.eval(), passes, device="cuda", dtype=torch.float16))

    name = "compiled-cuda-fp16"

    @property
    def digest(self) -> str:
        """Digest of engine, precision and library versions."""
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # torch's own annotation is missing
        versions = f"torch {torch.__version__}|cudnn {cudnn}"
        return hashlib.sha256(f"fused {self.name}|{versions}".encode()).hexdigest()
