"""Scale bars and text that an export drew into the picture: pixels of one extreme value with edges that end at once.

A camera never does that: what saturates it is bright beside, too, because of the objective's point spread.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

TOLERANCES = (0.03, 0.25)
"""How far drawn pixels may lie from the extreme, of the way to the median: compression and smoothing move them."""
MOST_SHARE = 0.06
"""More than this of a frame at one extreme is a picture of something else."""
LEAST_CONTRAST = 0.2
"""The extreme lies at least this share of the whole range of counts from the median."""
BAR_LEAST_PX, BAR_THICK_PX, BAR_ASPECT, BAR_PLATEAU = 36, 3, 4.0, 0.7
GLYPH_LEAST_PX, GLYPH_MOST_PX = 7, 96
SHARP, LESS_SHARP, SHARP_SHARE = 0.3, 0.5, 0.75
"""Two pixels away no more than this share of a mark's contrast is left, on this share of its outline; of bars, which
are rectangles besides, and beside other marks the second."""
PLATEAU = 0.3
"""At least this share of a letter is at the extreme itself."""
LINE_LEAST = 3
"""So many letters side by side, of about one height, are text."""
FRAYED_PX, STACKS_MOST = 1, 64
"""Rows of a bar end within a pixel of each other; so many unfinished ones are kept in view."""
LETTERS_MOST = 1000
"""More parts of the size of letters are grain or debris; to look at each would take minutes."""
BAR_NEAR_PX = 80
LOOSE = 0.5
"""Near a mark pixels count that come half of the way to the extreme."""
GROW_PX = 2


@dataclass(frozen=True, slots=True)
class Part:
    """Connected pixels: (N,) rows and columns."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @property
    def box(self) -> tuple[slice, slice]:
        """Return the rows and columns that it spans."""
        return (
            slice(int(self.rows.min()), int(self.rows.max()) + 1),
            slice(int(self.columns.min()), int(self.columns.max()) + 1),
        )

    def beside(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Return where on a frame of (rows, columns) more of the same writing may stand."""
        height, width = (box.stop - box.start for box in self.box)
        reach = (BAR_NEAR_PX, BAR_NEAR_PX) if width > 2 * height else (height // 2, 4 * height)
        rows, columns = (
            slice(max(0, box.start - far), min(length, box.stop + far))
            for box, far, length in zip(self.box, reach, shape, strict=True)
        )
        return rows, columns


def burnt_in(pixels: NDArray[np.unsignedinteger]) -> NDArray[np.bool_] | None:
    """Return (Y, X) bool: scale bars and text with two pixels around them; None where there are none."""
    marks: NDArray[np.bool_] | None = None
    middle = float(np.median(pixels[::4, ::4]))
    for extreme in (float(pixels.max()), float(pixels.min())):
        found = _of_one_value(pixels, extreme, middle)
        if found is not None:
            marks = found if marks is None else marks | found
    return None if marks is None else ndimage.binary_dilation(marks, np.ones((3, 3)), iterations=GROW_PX)


def _of_one_value(pixels: NDArray[np.unsignedinteger], extreme: float, middle: float) -> NDArray[np.bool_] | None:
    contrast = extreme - middle
    if abs(contrast) < LEAST_CONTRAST * float(np.iinfo(str(pixels.dtype)).max if pixels.dtype == np.uint8 else middle):
        return None
    at_extreme = _beyond(pixels, extreme, contrast, TOLERANCES[0])
    if not BAR_LEAST_PX <= int(at_extreme.sum()) <= MOST_SHARE * pixels.size:
        return None
    towards = _beyond(pixels, extreme, contrast, TOLERANCES[1])
    chosen = _lines(_letters(pixels, at_extreme, at_extreme, extreme, SHARP))
    if towards.sum() <= MOST_SHARE * pixels.size:
        bars = [part for part in _bars(towards) if at_extreme[part.rows, part.columns].mean() >= BAR_PLATEAU]
        chosen += [part for part in bars if _sharp(pixels, towards, part, extreme, LESS_SHARP)]
        chosen += _lines(_letters(pixels, towards, at_extreme, extreme, SHARP))
    if not chosen:
        return None
    marks = np.zeros(pixels.shape, bool)
    for part in chosen:
        marks[part.rows, part.columns] = True
    # thin strokes are smoothed and do not reach the extreme; beside what does they are known by their company
    near = np.zeros(pixels.shape, bool)
    for part in chosen:
        near[part.beside(pixels.shape)] = True
    loose = _beyond(pixels, extreme, contrast, LOOSE) & near
    if loose.sum() <= MOST_SHARE * pixels.size:
        for part in _lines(_letters(pixels, loose, loose, extreme, LESS_SHARP)):
            marks[part.rows, part.columns] = True
    return marks


def _beyond(
    pixels: NDArray[np.unsignedinteger], extreme: float, contrast: float, tolerance: float
) -> NDArray[np.bool_]:
    limit = extreme - tolerance * contrast
    return pixels >= limit if contrast > 0.0 else pixels <= limit


def _letters(
    pixels: NDArray[np.unsignedinteger],
    mask: NDArray[np.bool_],
    at_extreme: NDArray[np.bool_],
    extreme: float,
    sharp: float,
) -> list[Part]:
    """Return the 8-connected parts of a sparse mask that have the size of letters and sharp edges."""
    width = mask.shape[1]
    flat = np.flatnonzero(mask)
    if flat.size == 0:
        return []
    rows, columns = flat // width, flat % width
    order, firsts = _grouped(flat, columns, width)
    rows, columns = rows[order], columns[order]
    sizes = np.diff(firsts, append=flat.size)
    tall, wide = (
        np.maximum.reduceat(along, firsts) - np.minimum.reduceat(along, firsts) + 1 for along in (rows, columns)
    )
    plateau = np.add.reduceat(at_extreme[rows, columns].astype(np.int64), firsts)
    sized = (tall >= GLYPH_LEAST_PX) & (tall <= GLYPH_MOST_PX) & (wide <= 2 * tall) & (plateau >= PLATEAU * sizes)
    if np.count_nonzero(sized) > LETTERS_MOST:
        return []
    parts = (
        Part(rows[first : first + size], columns[first : first + size])
        for first, size in zip(firsts[sized], sizes[sized], strict=True)
    )
    return [part for part in parts if _sharp(pixels, mask, part, extreme, sharp)]


def _grouped(
    flat: NDArray[np.int64], columns: NDArray[np.int64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return an order of sorted flat indices that puts 8-connected ones together, and where each group begins."""
    pairs: list[NDArray[np.int64]] = []
    for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
        here = np.flatnonzero((columns + right >= 0) & (columns + right < width))
        wanted = flat[here] + down * width + right
        there = np.minimum(np.searchsorted(flat, wanted), flat.size - 1)
        pairs.append(np.stack([here, there])[:, flat[there] == wanted])
    one, other = np.concatenate(pairs, axis=1)
    links = sparse.coo_array((np.ones(one.size, bool), (one, other)), shape=(flat.size, flat.size))
    count, member = sparse.csgraph.connected_components(links, directed=False)
    order = np.argsort(member, kind="stable")
    return order, np.searchsorted(member[order], np.arange(count))


def _bars(mask: NDArray[np.bool_]) -> list[Part]:
    """Return solid rectangles that are wide and low; what touches them from above or below is left out."""
    width = mask.shape[1]
    flat = np.flatnonzero(mask)
    breaks = np.flatnonzero((np.diff(flat) != 1) | (flat[1:] % width == 0)) + 1
    firsts = flat[np.concatenate([[0], breaks])]
    lengths = np.diff(np.concatenate([[0], breaks, [flat.size]]))
    long = lengths >= BAR_LEAST_PX
    stacks: list[list[tuple[int, int, int]]] = []
    for first, length in zip(firsts[long].tolist(), lengths[long].tolist(), strict=True):
        row, start = divmod(first, width)
        for stack in reversed(stacks[-STACKS_MOST:]):
            above, left, long_above = stack[-1]
            if above == row - 1 and abs(left - start) <= FRAYED_PX and abs(long_above - length) <= 2 * FRAYED_PX:
                stack.append((row, start, length))
                break
        else:
            stacks.append([(row, start, length)])
    return [
        Part(
            np.concatenate([np.full(length, row) for row, _, length in stack]),
            np.concatenate([np.arange(start, start + length) for _, start, length in stack]),
        )
        for stack in stacks
        if BAR_THICK_PX <= len(stack) <= stack[0][2] / BAR_ASPECT
    ]


def _sharp(
    pixels: NDArray[np.unsignedinteger], mask: NDArray[np.bool_], part: Part, extreme: float, most: float
) -> bool:
    """Whether a part ends at once: two pixels away the picture is what it is farther away."""
    around = tuple(
        slice(max(0, box.start - 9), min(length, box.stop + 9))
        for box, length in zip(part.box, mask.shape, strict=True)
    )
    own = np.zeros(mask[around].shape, bool)
    own[part.rows - around[0].start, part.columns - around[1].start] = True
    others = ndimage.binary_dilation(mask[around] & ~own, iterations=2)
    near, next_, far = (ndimage.binary_dilation(own, np.ones((3, 3)), iterations=n) for n in (1, 2, 8))
    ring, ground = next_ & ~near & ~others, far & ~next_ & ~others
    if ring.sum() < GLYPH_LEAST_PX or not ground.any():
        return False
    values = pixels[around].astype(np.float32)
    level = float(np.median(values[ground]))
    left = np.abs(values[ring] - level) / max(abs(extreme - level), 1e-6)
    return bool((left < most).mean() >= SHARP_SHARE)


def _lines(letters: list[Part]) -> list[Part]:
    """Return the letters that stand in a line with others of about their height."""
    if len(letters) < LINE_LEAST:
        return []
    boxes = np.array([(y.stop, y.stop - y.start, x.start, x.stop) for y, x in (part.box for part in letters)], float)
    bottom, height, left, right = boxes.T
    tall = np.maximum(height[:, None], height[None])
    beside = np.maximum(left[:, None], left[None]) - np.minimum(right[:, None], right[None]) < 1.2 * tall
    level = np.abs(bottom[:, None] - bottom[None]) < 0.3 * tall
    alike = np.abs(height[:, None] - height[None]) < 0.45 * tall
    _, group = sparse.csgraph.connected_components(sparse.coo_array(beside & level & alike), directed=False)
    many = np.bincount(group)[group] >= LINE_LEAST
    return [part for part, chosen in zip(letters, many, strict=True) if chosen]
