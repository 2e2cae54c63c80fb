"""What decoding on a device asks of pixels, in torch: parts, basins, where they meet, and how many pixels they hold.

`device_kernels` holds the same four steps as kernels for a GPU; these run anywhere, and say what those have to give.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from monitor.segmentation.confidence import ONE
from monitor.segmentation.flood import LEVELS
from monitor.segmentation.merging import STEP

BINS = LEVELS // STEP
_AROUND = ((0, 1), (1, -1), (1, 0), (1, 1), (0, -1), (-1, 1), (-1, 0), (-1, -1))


def without_holes(mask: Tensor, max_area_px: float) -> Tensor:
    """Return [B, H, W] bool masks whose background parts below `max_area_px` are filled; see `holes.without_holes`."""
    part = _parts(~mask)
    area = torch.bincount(part.flatten(), minlength=mask.numel() + 1)
    return mask | (area[part] < max_area_px)


def _parts(mask: Tensor) -> Tensor:
    """Return [B, H, W] int64: for pixels of the mask a pixel of their 4-connected part, the same for all of it.

    Other pixels hold the number of pixels. Least neighbours are hooked to roots and ways are shortened in turns, as in
    FastSV (Zhang, Azad & Hu 2020): a few rounds, however long and bent a part is.
    """
    size = mask.numel()
    parent = torch.arange(size + 1, device=mask.device)
    parent[:size].masked_fill_(~mask.flatten(), size)
    while True:
        seen = parent[:size].view(mask.shape)
        least = seen
        for rows, columns in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            least = torch.minimum(least, _neighbour(seen, rows, columns, size))
        least = torch.where(mask, least, size).flatten()
        found = parent.clone()
        found.scatter_reduce_(0, parent[:size], least, "amin")
        found[:size] = torch.minimum(found[:size], least)
        found = found[found]
        found = found[found]
        if torch.equal(found, parent):
            return parent[:size].view(mask.shape)
        parent = found


def basins(level: Tensor, within: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the basin of each pixel, [B, H, W] int32, -1 outside, and the flat places of the peaks, [N] int64.

    `level` is [B, H, W] int32, -1 outside; `within` as in `flood`. Of two pixels the one of the higher level comes
    first, of two of one level the earlier: the order of the flood. A basin is known by the place of its peak in the
    last array.
    """
    size = level.numel()
    place = torch.arange(size, device=level.device).view(level.shape)
    inside = level >= 0
    key = torch.where(inside, level.long() * size + (size - 1 - place), -1)
    best = key
    for near in _around(key, within):
        best = torch.maximum(best, near)
    above = _followed(torch.where(inside, size - 1 - best.remainder(size), place).flatten())
    top = inside.flatten() & (above == place.flatten())
    number = torch.cumsum(top, 0) - 1
    basin = torch.where(inside.flatten(), number[above], -1).int().view(level.shape)
    return basin, top.nonzero()[:, 0]


def _followed(above: Tensor) -> Tensor:
    """Return where pointers end, by doubling."""
    while True:
        further = above[above]
        if torch.equal(further, above):
            return above
        above = further


def _around(key: Tensor, within: Tensor | None) -> Iterator[Tensor]:
    """Yield the eight neighbours of every pixel, -1 where there is none or a wall stands between."""
    for rows, columns in _AROUND:
        near = _neighbour(key, rows, columns, -1)
        if within is not None:
            near = near.masked_fill(_neighbour(within, rows, columns, -1) != within, -1)
        yield near


def meetings(basin: Tensor, level: Tensor, within: Tensor | None, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return pairs of touching basins and the highest level at which each pair meets, [N] int64 each."""
    pairs, levels = [], []
    for rows, columns in _AROUND[:4]:
        near, near_level = _neighbour(basin, rows, columns, -1), _neighbour(level, rows, columns, -1)
        touch = (basin >= 0) & (near >= 0) & (basin != near)
        if within is not None:
            touch &= _neighbour(within, rows, columns, -1) == within
        one, other = basin[touch].long(), near[touch].long()
        pairs.append(torch.minimum(one, other) * count + torch.maximum(one, other))
        levels.append(torch.minimum(level[touch], near_level[touch]).long())
    pair, where = torch.unique(torch.cat(pairs), return_inverse=True)
    meeting = torch.full_like(pair, -1).scatter_reduce_(0, where, torch.cat(levels), "amax")
    return pair // count, pair % count, meeting


def tallies(basin: Tensor, level: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return how many pixels of each level a basin holds, [N, BINS], and the flat place of its first, [N]; int64."""
    inside = basin >= 0
    owner = basin[inside].long()
    histogram = torch.bincount(owner * BINS + level[inside] // STEP, minlength=count * BINS).view(count, BINS)
    place = torch.arange(basin.numel(), device=basin.device).view(basin.shape)[inside]
    first = torch.full((count,), basin.numel(), device=basin.device)
    return histogram, first.scatter_reduce_(0, owner, place, "amin")


def sums(cells: Tensor, cell: Tensor, boundary: Tensor, height: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return what the maps say of each cell; see `confidence`.

    Labels are [B, H, W] int32 from 0 to `most`. Sums are [B, most + 1, 5] int64, peaks [B, most + 1] float32; those of
    label 0 mean nothing.
    """
    frames, rows, columns = cells.shape
    pad = functional.pad(cells[:, None].float(), (1, 1, 1, 1), mode="replicate")[:, 0].int()
    outline = (pad[:, :-2, 1:-1] != cells) | (pad[:, 2:, 1:-1] != cells)
    outline |= (pad[:, 1:-1, :-2] != cells) | (pad[:, 1:-1, 2:] != cells)
    border = torch.zeros_like(cells)
    border[:, 0] += 1
    border[:, rows - 1] += 1
    border[:, :, 0] += 1
    border[:, :, columns - 1] += 1
    parts = [torch.ones_like(cells), _parts_of(cell), outline, _parts_of(boundary) * outline, border]
    owner = cells.long() + torch.arange(frames, device=cells.device)[:, None, None] * (most + 1)
    held = torch.zeros((frames * (most + 1), 5), dtype=torch.int64, device=cells.device)
    held.index_add_(0, owner.flatten(), torch.stack([part.flatten().long() for part in parts], 1))
    peaks = torch.full((frames * (most + 1),), -torch.inf, device=cells.device)
    peaks.scatter_reduce_(0, owner.flatten(), height.flatten(), "amax")
    return held.view(frames, most + 1, 5), peaks.view(frames, most + 1)


def _parts_of(logit: Tensor) -> Tensor:
    """Return probabilities in whole parts of `confidence.ONE`."""
    return (ONE / (1.0 + torch.exp(-logit.clamp(-20.0, 20.0))) + 0.5).int()


def named(basin: Tensor, names: Tensor) -> Tensor:
    """Return [B, H, W] int32: the name of each pixel's basin, 0 outside; names are [N] int32."""
    return torch.cat([names, names.new_zeros(1)])[basin.long()]


def _neighbour(planes: Tensor, rows: int, columns: int, beyond: int) -> Tensor:
    """Return for every pixel of [B, H, W] planes its neighbour so many rows below and columns to the right."""
    moved = torch.full_like(planes, beyond)
    to_y, from_y = _shift(rows)
    to_x, from_x = _shift(columns)
    moved[:, to_y, to_x] = planes[:, from_y, from_x]
    return moved


def _shift(step: int) -> tuple[slice, slice]:
    if step == 0:
        return slice(None), slice(None)
    return (slice(None, -step), slice(step, None)) if step > 0 else (slice(-step, None), slice(None, step))
