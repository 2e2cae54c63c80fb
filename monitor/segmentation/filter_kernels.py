"""Filters of `device_planes` as kernels for a GPU: one pass for each axis, however wide the window."""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024
LANES, CHUNK = 64, 64
"""A running sum goes down so many columns side by side, and starts anew after so many rows."""


def smoothed(planes: Tensor, weights: list[float], *, mirror: bool) -> Tensor:
    """Return [B, H, W] float32 planes smoothed along both axes by a symmetric kernel, its middle first.

    The edge is mirrored, its pixel twice, or goes on as it ends. The kernel must not reach beyond a whole side.
    """
    _, rows, columns = planes.shape
    held = torch.tensor(weights, dtype=torch.float32, device=planes.device)
    planes = planes.contiguous()
    for stride, length in ((columns, rows), (1, columns)):
        found = torch.empty_like(planes)
        _smooth[(triton.cdiv(planes.numel(), BLOCK),)](
            planes, found, held, stride, length, planes.numel(), RADIUS=len(weights) - 1, MIRROR=mirror, BLOCK=BLOCK
        )
        planes = found
    return planes


def window_mean(planes: Tensor, window_px: int) -> Tensor:
    """Return the mean over an odd square window of [B, H, W] float32 planes; the border is mirrored, its pixel once."""
    turned = _mean_down(_mean_down(planes.contiguous(), window_px).transpose(1, 2).contiguous(), window_px)
    return turned.transpose(1, 2).contiguous()


def highest(labels: Tensor, values: Tensor, most: int) -> Tensor:
    """Return the highest of [B, H, W] values in every label from 1 to `most`, [B, most] float32; at least 0."""
    peaks = torch.zeros((len(labels), most + 1), dtype=torch.int32, device=labels.device)
    _highest[(triton.cdiv(labels.numel(), BLOCK),)](
        labels.contiguous(), values.contiguous(), peaks, labels[0].numel(), most + 1, labels.numel(), BLOCK=BLOCK
    )
    return peaks.view(torch.float32)[:, 1:]


def _mean_down(planes: Tensor, window_px: int) -> Tensor:
    frames, rows, columns = planes.shape
    found = torch.empty_like(planes)
    grid = (triton.cdiv(columns, LANES), triton.cdiv(rows, CHUNK), frames)
    _run_down[grid](planes, found, rows, columns, RADIUS=window_px // 2, CHUNK=CHUNK, LANES=LANES, num_warps=2)
    return found


@triton.jit
def _smooth(
    source, found, weights, stride, length, total, RADIUS: tl.constexpr, MIRROR: tl.constexpr, BLOCK: tl.constexpr
):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    ok = place < total
    at = (place // stride) % length
    first = source + place - at * stride
    smooth = tl.load(source + place, mask=ok, other=0.0) * tl.load(weights)
    for offset in tl.static_range(1, RADIUS + 1):
        low = at - offset
        high = at + offset
        if MIRROR:
            low = tl.where(low < 0, -1 - low, low)
            high = tl.where(high >= length, 2 * length - 1 - high, high)
        else:
            low = tl.maximum(low, 0)
            high = tl.minimum(high, length - 1)
        pair = tl.load(first + low * stride, mask=ok, other=0.0) + tl.load(first + high * stride, mask=ok, other=0.0)
        smooth += pair * tl.load(weights + offset)
    tl.store(found + place, smooth, mask=ok)


@triton.jit
def _run_down(source, found, rows, columns, RADIUS: tl.constexpr, CHUNK: tl.constexpr, LANES: tl.constexpr):
    """Move a sum down the columns: what comes in below is added, what goes out above is taken off, in float64."""
    x = tl.program_id(0) * LANES + tl.arange(0, LANES)
    ok = x < columns
    top = tl.program_id(1) * CHUNK
    frame = tl.program_id(2).to(tl.int64) * rows * columns
    total = tl.zeros((LANES,), tl.float64)
    for offset in range(2 * RADIUS + 1):
        y = tl.abs(top + offset - RADIUS)
        y = tl.where(y >= rows, 2 * rows - 2 - y, y)
        total += tl.load(source + frame + y * columns + x, mask=ok, other=0.0).to(tl.float64)
    for step in range(CHUNK):
        y = top + step
        there = ok & (y < rows)
        tl.store(found + frame + y * columns + x, (total / (2 * RADIUS + 1)).to(tl.float32), mask=there)
        coming = y + RADIUS + 1
        coming = tl.where(coming >= rows, 2 * rows - 2 - coming, coming)
        leaving = tl.abs(y - RADIUS)
        there = ok & (y + 1 < rows)
        total += tl.load(source + frame + coming * columns + x, mask=there, other=0.0).to(tl.float64)
        total -= tl.load(source + frame + leaving * columns + x, mask=there, other=0.0).to(tl.float64)


@triton.jit
def _highest(labels, values, peaks, plane, names, total, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    label = tl.load(labels + place, mask=place < total, other=0)
    value = tl.load(values + place, mask=label > 0, other=0.0)
    # the bits of floats that are not negative have the order of the floats
    bits = tl.maximum(value, 0.0).to(tl.int32, bitcast=True)
    tl.atomic_max(peaks + (place // plane) * names + label, bits, mask=label > 0, sem="relaxed")
