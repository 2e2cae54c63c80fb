"""The steps of `device_steps` as kernels for a GPU: every pixel is read a few times instead of a few hundred times.

Parts are found by uniting runs of pixels with atomic minima (after Playne & Hawick 2018, "A new algorithm for parallel
connected-component labelling on GPUs"); basins by following every pixel's highest neighbour to its end. Atomics are
relaxed: no sum needs an order, and a kernel's end makes all of it seen; Triton's default is a fence at each of them.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from monitor.segmentation.confidence import ONE
from monitor.segmentation.device_steps import BINS
from monitor.segmentation.flood import LEVELS
from monitor.segmentation.merging import STEP

BLOCK = 1024
MEETINGS_PER_PIXEL = 0.25
"""Room for meetings to begin with; where it does not do, they are looked for again with more."""


def without_holes(mask: Tensor, max_area_px: float) -> Tensor:
    """See `device_steps.without_holes`."""
    ground = (~mask).contiguous().view(torch.uint8)
    frames, rows, columns = mask.shape
    parent = torch.empty(mask.shape, dtype=torch.int32, device=mask.device)
    wide = triton.next_power_of_2(columns)
    _begin_runs[(frames * rows,)](ground, parent, columns, WIDE=wide)
    _unite[_blocks(mask)](parent, rows, columns, mask.numel(), BLOCK=BLOCK)
    _follow[_blocks(mask)](parent, mask.numel(), BLOCK=BLOCK)
    area = torch.zeros(mask.numel(), dtype=torch.int32, device=mask.device)
    _measure_runs[(frames * rows,)](ground, parent, area, columns, WIDE=wide)
    filled = torch.empty(mask.shape, dtype=torch.uint8, device=mask.device)
    _fill[_blocks(mask)](parent, area, filled, float(max_area_px), mask.numel(), BLOCK=BLOCK)
    return filled.view(torch.bool)


def basins(level: Tensor, within: Tensor | None) -> tuple[Tensor, Tensor]:
    """See `device_steps.basins`."""
    level = level.contiguous()
    above = torch.empty_like(level)
    walls = level if within is None else within.contiguous()
    _, rows, columns = level.shape
    _ascend[_blocks(level)](level, walls, above, rows, columns, level.numel(), WALLS=within is not None, BLOCK=BLOCK)
    tops = above.flatten() == torch.arange(level.numel(), dtype=torch.int32, device=level.device)
    _follow[_blocks(level)](above, level.numel(), BLOCK=BLOCK)
    peaks = tops.nonzero()[:, 0]
    number = torch.zeros(level.numel(), dtype=torch.int32, device=level.device)
    number[peaks] = torch.arange(len(peaks), dtype=torch.int32, device=level.device)
    return _looked_up(above, number, -1), peaks


def meetings(basin: Tensor, level: Tensor, within: Tensor | None, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """See `device_steps.meetings`."""
    walls = level if within is None else within.contiguous()
    _, rows, columns = basin.shape
    room = max(1024, int(MEETINGS_PER_PIXEL * basin.numel()))
    while True:
        keys = torch.empty(room, dtype=torch.int64, device=basin.device)
        found = torch.zeros(1, dtype=torch.int32, device=basin.device)
        _meet[_blocks(basin)](
            basin, level, walls, keys, found, count, rows, columns, basin.numel(), room,
            LEVELS=LEVELS, WALLS=within is not None, BLOCK=BLOCK,
        )  # fmt: skip
        many = int(found)
        if many <= room:
            break
        room = many
    # the highest meeting of a pair comes first
    ordered = keys[:many].sort().values
    pair = ordered // LEVELS
    first = torch.ones_like(pair, dtype=torch.bool)
    first[1:] = pair[1:] != pair[:-1]
    pair, meeting = pair[first], LEVELS - 1 - ordered[first] % LEVELS
    return pair // count, pair % count, meeting


def tallies(basin: Tensor, level: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """See `device_steps.tallies`."""
    histogram = torch.zeros((count, BINS), dtype=torch.int32, device=basin.device)
    first = torch.full((count,), basin.numel(), dtype=torch.int32, device=basin.device)
    _tally[_blocks(basin)](
        basin, level, histogram, first, basin.shape[2], basin.numel(), BINS=BINS, STEP=STEP, BLOCK=BLOCK
    )
    return histogram.long(), first.long()


def sums(cells: Tensor, cell: Tensor, boundary: Tensor, height: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """See `device_steps.sums`."""
    frames, rows, columns = cells.shape
    held = torch.zeros((frames, most + 1, 5), dtype=torch.int64, device=cells.device)
    peaks = torch.full((frames, most + 1), torch.iinfo(torch.int32).min, dtype=torch.int32, device=cells.device)
    _sum[_blocks(cells)](
        cells.contiguous(), cell.contiguous(), boundary.contiguous(), height.contiguous(), held, peaks,
        rows, columns, most + 1, cells.numel(), ONE=ONE, BLOCK=BLOCK,
    )  # fmt: skip
    return held, torch.where(peaks < 0, peaks ^ 0x7FFFFFFF, peaks).view(torch.float32)


def named(basin: Tensor, names: Tensor) -> Tensor:
    """See `device_steps.named`."""
    return _looked_up(basin, names.contiguous(), 0)


def _looked_up(index: Tensor, values: Tensor, beyond: int) -> Tensor:
    found = torch.empty_like(index)
    _look_up[_blocks(index)](index, values, found, index.numel(), beyond, BLOCK=BLOCK)
    return found


def _blocks(planes: Tensor) -> tuple[int]:
    return (triton.cdiv(planes.numel(), BLOCK),)


@triton.jit
def _larger(one, other):
    return tl.maximum(one, other)


@triton.jit
def _begin_runs(inside, parent, columns, WIDE: tl.constexpr):
    """Let every pixel of a row point to the first of its run; -1 outside."""
    first = tl.program_id(0) * columns
    x = tl.arange(0, WIDE)
    ok = x < columns
    here = tl.load(inside + first + x, mask=ok, other=0) > 0
    before = tl.load(inside + first + x - 1, mask=ok & (x > 0), other=0) > 0
    start = tl.associative_scan(tl.where(here & (before == 0), x, -1), 0, _larger)
    tl.store(parent + first + x, tl.where(here, first + start, -1), mask=ok)


@triton.jit
def _measure_runs(inside, parent, area, columns, WIDE: tl.constexpr):
    """Add the length of every run to its part: one addition for a run, or the ground would queue at one place."""
    first = tl.program_id(0) * columns
    x = tl.arange(0, WIDE)
    ok = x < columns
    here = tl.load(inside + first + x, mask=ok, other=0) > 0
    before = tl.load(inside + first + x - 1, mask=ok & (x > 0), other=0) > 0
    after = tl.load(inside + first + x + 1, mask=x + 1 < columns, other=0) > 0
    start = tl.associative_scan(tl.where(here & (before == 0), x, -1), 0, _larger)
    last = here & (after == 0)
    part = tl.load(parent + first + x, mask=last, other=0)
    tl.atomic_add(area + part, x - start + 1, mask=last, sem="relaxed")


@triton.jit
def _root(parent, node, going):
    """Return where pointers end. What another block changes meanwhile only makes the way shorter."""
    above = tl.load(parent + node, mask=going, other=0, cache_modifier=".cg")
    above = tl.where(going, above, node)
    while tl.max((above != node).to(tl.int32), axis=0) > 0:
        node = above
        further = tl.load(parent + node, mask=going, other=0, cache_modifier=".cg")
        above = tl.where(going, further, node)
    return node


@triton.jit
def _unite(parent, rows, columns, total, BLOCK: tl.constexpr):
    """Unite the parts of pixels that lie one above the other."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    ok = place < total
    x = place % columns
    y = (place // columns) % rows
    here = tl.load(parent + place, mask=ok, other=-1)
    up = tl.load(parent + place - columns, mask=ok & (y > 0), other=-1)
    left = tl.load(parent + place - 1, mask=ok & (x > 0), other=-1)
    corner = tl.load(parent + place - columns - 1, mask=ok & (x > 0) & (y > 0), other=-1)
    known = (left >= 0) & (corner >= 0)  # the pixel before has said it already
    going = (here >= 0) & (up >= 0) & (known == 0)
    one = tl.where(going, place, 0)
    other = tl.where(going, place - columns, 0)
    while tl.max(going.to(tl.int32), axis=0) > 0:
        one = _root(parent, one, going)
        other = _root(parent, other, going)
        low = tl.minimum(one, other)
        high = tl.maximum(one, other)
        going = going & (low != high)
        seen = tl.atomic_min(parent + high, low, mask=going, sem="relaxed")
        # another block was faster: what it wrote has to be united as well
        going = going & (seen != high)
        one = tl.where(going, seen, 0)
        other = tl.where(going, low, 0)


@triton.jit
def _follow(parent, total, BLOCK: tl.constexpr):
    """Let every pixel point to where its pointers end."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    going = tl.load(parent + place, mask=place < total, other=-1) >= 0
    root = _root(parent, tl.where(going, place, 0), going)
    tl.store(parent + place, root, mask=going)


@triton.jit
def _fill(parent, area, filled, most, total, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    part = tl.load(parent + place, mask=place < total, other=-1)
    ground = part >= 0
    size = tl.load(area + tl.where(ground, part, 0), mask=ground, other=0)
    full = (ground == 0) | (size.to(tl.float32) < most)
    tl.store(filled + place, full.to(tl.uint8), mask=place < total)


@triton.jit
def _ascend(level, within, above, rows, columns, total, WALLS: tl.constexpr, BLOCK: tl.constexpr):
    """Let every pixel point to its highest neighbour, or to itself; -1 outside."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    ok = place < total
    x = place % columns
    y = (place // columns) % rows
    here = tl.load(level + place, mask=ok, other=-1)
    wall = tl.load(within + place, mask=ok, other=-1)
    top = here
    best = place
    for dy in tl.static_range(-1, 2):
        for dx in tl.static_range(-1, 2):
            near_place = place + dy * columns + dx
            there = ok & (y + dy >= 0) & (y + dy < rows) & (x + dx >= 0) & (x + dx < columns)
            near = tl.load(level + near_place, mask=there, other=-1)
            if WALLS:
                near = tl.where(tl.load(within + near_place, mask=there, other=-1) == wall, near, -1)
            better = (near > top) | ((near == top) & (near_place < best))
            top = tl.where(better, near, top)
            best = tl.where(better, near_place, best)
    tl.store(above + place, tl.where(here >= 0, best, -1), mask=ok)


@triton.jit
def _look_up(index, values, found, total, beyond, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    which = tl.load(index + place, mask=place < total, other=-1)
    value = tl.load(values + tl.where(which >= 0, which, 0), mask=which >= 0, other=0)
    tl.store(found + place, tl.where(which >= 0, value, beyond), mask=place < total)


@triton.jit
def _tally(basin, level, histogram, first, columns, total, BINS: tl.constexpr, STEP: tl.constexpr, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    ok = place < total
    owner = tl.load(basin + place, mask=ok, other=-1)
    inside = owner >= 0
    safe = tl.where(inside, owner, 0)
    bin_of = tl.load(level + place, mask=inside, other=0) // STEP
    tl.atomic_add(histogram + safe * BINS + bin_of, 1, mask=inside, sem="relaxed")
    before = tl.load(basin + place - 1, mask=ok & (place % columns > 0), other=-1)
    tl.atomic_min(first + safe, place, mask=inside & (before != owner), sem="relaxed")


@triton.jit
def _meet(
    basin, level, within, keys, found, count, rows, columns, total, room,
    LEVELS: tl.constexpr, WALLS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write a key for every two neighbours of different basins: the pair, then how far below the top they meet."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    ok = place < total
    x = place % columns
    y = (place // columns) % rows
    owner = tl.load(basin + place, mask=ok, other=-1)
    here = tl.load(level + place, mask=ok, other=-1)
    wall = tl.load(within + place, mask=ok, other=-1)
    for step in tl.static_range(4):
        dy = 0 if step == 0 else 1
        dx = 1 if step == 0 else step - 2
        near_place = place + dy * columns + dx
        there = ok & (y + dy < rows) & (x + dx >= 0) & (x + dx < columns)
        near = tl.load(basin + near_place, mask=there, other=-1)
        touch = (owner >= 0) & (near >= 0) & (owner != near)
        if WALLS:
            touch = touch & (tl.load(within + near_place, mask=there, other=-1) == wall)
        meeting = tl.minimum(here, tl.load(level + near_place, mask=touch, other=0))
        pair = tl.minimum(owner, near).to(tl.int64) * count + tl.maximum(owner, near)
        number = touch.to(tl.int32)
        begin = tl.atomic_add(found, tl.sum(number, axis=0), sem="relaxed")
        where = begin + tl.cumsum(number, axis=0) - 1
        tl.store(keys + where, pair * LEVELS + (LEVELS - 1 - meeting), mask=touch & (where < room))


@triton.jit
def _parts(logit, ONE: tl.constexpr):
    bounded = tl.minimum(tl.maximum(logit, -20.0), 20.0)
    return (ONE / (1.0 + tl.exp(-bounded)) + 0.5).to(tl.int64)


@triton.jit
def _sum(
    cells, cell, boundary, height, held, peaks, rows, columns, names, total,
    ONE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    ok = place < total
    x = place % columns
    y = (place // columns) % rows
    label = tl.load(cells + place, mask=ok, other=0)
    inside = label > 0
    owner = (place // columns // rows) * names + label
    mine = held + owner * 5
    one = tl.full((BLOCK,), 1, tl.int64)
    tl.atomic_add(mine, one, mask=inside, sem="relaxed")
    part = _parts(tl.load(cell + place, mask=inside, other=0.0), ONE)
    tl.atomic_add(mine + 1, part, mask=inside, sem="relaxed")
    up = tl.load(cells + place - columns, mask=inside & (y > 0), other=-1)
    down = tl.load(cells + place + columns, mask=inside & (y + 1 < rows), other=-1)
    left = tl.load(cells + place - 1, mask=inside & (x > 0), other=-1)
    right = tl.load(cells + place + 1, mask=inside & (x + 1 < columns), other=-1)
    # beyond the frame lies nothing that differs
    differs = ((up >= 0) & (up != label)) | ((down >= 0) & (down != label))
    differs = differs | ((left >= 0) & (left != label)) | ((right >= 0) & (right != label))
    outline = inside & differs
    tl.atomic_add(mine + 2, one, mask=outline, sem="relaxed")
    part = _parts(tl.load(boundary + place, mask=outline, other=0.0), ONE)
    tl.atomic_add(mine + 3, part, mask=outline, sem="relaxed")
    sides = (
        (y == 0).to(tl.int32) + (y + 1 == rows).to(tl.int32) + (x == 0).to(tl.int32) + (x + 1 == columns).to(tl.int32)
    )
    tl.atomic_add(mine + 4, sides.to(tl.int64), mask=inside & (sides > 0), sem="relaxed")
    bits = tl.load(height + place, mask=inside, other=0.0).to(tl.int32, bitcast=True)
    # bits of negative floats fall where the floats rise: turned round they have the order of the floats
    tl.atomic_max(peaks + owner, tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits), mask=inside, sem="relaxed")
