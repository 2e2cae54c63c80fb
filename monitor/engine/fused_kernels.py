"""What `FusedNetwork` does between convolutions, as kernels for a GPU; activations are channels last in memory."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from monitor.network.folding import Affine

BLOCK = 2048
WARPS = 8


class KernelPasses:
    """See `fused.Passes`."""

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        """See `fused.Passes`: cuDNN rectifies while it writes."""
        padding = weight.shape[2] // 2
        found: Tensor = torch.cudnn_convolution_relu(x, weight, bias, (stride, stride), (padding, padding), (1, 1), 1)
        return found

    def activated(
        self, x: Tensor, added: Tensor | None, affines: Sequence[Affine], *, keep: bool
    ) -> tuple[Tensor | None, list[Tensor]]:
        """See `fused.Passes`."""
        x = x.contiguous(memory_format=torch.channels_last)
        other = x if added is None else added.contiguous(memory_format=torch.channels_last)
        whole = torch.empty_like(x) if keep and added is not None else x
        images = [torch.empty_like(x) for _ in affines]
        (scale, shift), (scale_2, shift_2) = affines[0], affines[-1]
        _activate[(triton.cdiv(x.numel(), BLOCK),)](
            x, other, whole, images[0], images[-1], scale, shift, scale_2, shift_2, x.numel(),
            CHANNELS=x.shape[1], ADD=added is not None, KEEP=keep and added is not None, TWICE=len(affines) > 1,
            BLOCK=BLOCK, num_warps=WARPS,
        )  # fmt: skip
        return whole if keep else None, images

    def raised(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """See `fused.Passes`."""
        coarse = coarse.contiguous(memory_format=torch.channels_last)
        fine = fine.contiguous(memory_format=torch.channels_last)
        found = torch.empty_like(fine)
        _, channels, rows, columns = fine.shape
        _raise[(triton.cdiv(fine.numel(), BLOCK),)](
            coarse, fine, found, rows, columns, fine.numel(), CHANNELS=channels, BLOCK=BLOCK, num_warps=WARPS
        )
        return found


@triton.jit
def _activate(
    x, added, whole, first, second, scale, shift, scale_2, shift_2, total,
    CHANNELS: tl.constexpr, ADD: tl.constexpr, KEEP: tl.constexpr, TWICE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ok = place < total
    channel = (place % CHANNELS).to(tl.int32)
    value = tl.load(x + place, mask=ok, other=0.0)
    if ADD:
        value = (value.to(tl.float32) + tl.load(added + place, mask=ok, other=0.0).to(tl.float32)).to(value.dtype)
    if KEEP:
        tl.store(whole + place, value, mask=ok)
    wide = value.to(tl.float32)
    image = wide * tl.load(scale + channel) + tl.load(shift + channel)
    tl.store(first + place, tl.maximum(image, 0.0).to(value.dtype), mask=ok)
    if TWICE:
        image = wide * tl.load(scale_2 + channel) + tl.load(shift_2 + channel)
        tl.store(second + place, tl.maximum(image, 0.0).to(value.dtype), mask=ok)


@triton.jit
def _raise(coarse, fine, found, rows, columns, total, CHANNELS: tl.constexpr, BLOCK: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ok = place < total
    channel = place % CHANNELS
    pixel = place // CHANNELS
    column = pixel % columns
    row = (pixel // columns) % rows
    frame = pixel // columns // rows
    above = ((frame * (rows // 2) + row // 2) * (columns // 2) + column // 2) * CHANNELS + channel
    low = tl.load(coarse + above, mask=ok, other=0.0).to(tl.float32)
    high = tl.load(fine + place, mask=ok, other=0.0)
    tl.store(found + place, (low + high.to(tl.float32)).to(high.dtype), mask=ok)
