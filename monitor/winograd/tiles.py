"""The inner steps of Winograd's convolution as vector code for the processor at hand.

F(4 x 4, 3 x 3) after Lavin & Gray 2016, "Fast algorithms for convolutional neural networks": 4 x 4 pixels of the result
come from 6 x 6 of the source with 36 multiplications instead of 144. Numba's own loops came out a third slower than
these: vectors are written out, as many channels at a time as a register of the processor holds.

All take addresses and distances in bytes, and check nothing: `convolution` is the way in.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

_CHOSEN = getattr(config, "CPU_FEATURES", None)  # by NUMBA_CPU_FEATURES
_FEATURES = llvm.get_host_cpu_features().flatten() if _CHOSEN is None else _CHOSEN
WIDE = "+avx512f" in _FEATURES
LANES = 16 if WIDE else 8
"""Channels at a time."""
ROWS = 8 if WIDE else 4
"""Tiles that are multiplied together: their sums fill the registers, three vectors for each."""

_INT, _FLOAT = ir.IntType(64), ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FUSED = ("contract", "nsz")
_Value = Any
"""Neither Numba nor LLVM says what it hands over."""
_Grid = list[list[_Value]]


def _vector_code(*takes: _Value) -> Callable[[_Value], _Value]:
    """Make what writes vector code for values of these types a function that compiled ones may call."""

    def made(write: _Value) -> _Value:
        @wraps(write)  # Numba asks for the names of all arguments, and drops the first
        def describe(context: _Value, *kinds: _Value) -> _Value:
            def build(target: _Value, code: _Value, signature: _Value, given: Sequence[_Value]) -> _Value:
                write(code, *given)
                return target.get_dummy_value()

            return types.void(*takes), build

        return intrinsic(describe)

    return made


def _at(code: _Value, address: _Value, *steps: tuple[_Value, int]) -> _Value:
    """Return the vector's place that lies so many times each distance behind an address."""
    for distance, times in steps:
        address = code.add(address, code.mul(distance, ir.Constant(_INT, times)))
    return code.inttoptr(address, _VECTOR.as_pointer())


def _plus(code: _Value, value: _Value, times: float, other: _Value) -> _Value:
    scaled = code.fmul(value, ir.Constant(_VECTOR, [times] * LANES), flags=_FUSED)
    return code.fadd(scaled, other, flags=_FUSED)


def _spread_line(code: _Value, d: Sequence[_Value]) -> list[_Value]:
    """Return six values of the source as the six that are multiplied, along one axis."""
    near, far = _plus(code, d[2], -4.0, d[4]), _plus(code, d[1], -4.0, d[3])
    even, odd = code.fsub(d[4], d[2], flags=_FUSED), code.fsub(d[3], d[1], flags=_FUSED)
    return [
        _plus(code, d[0], 4.0, _plus(code, d[2], -5.0, d[4])),
        code.fadd(near, far, flags=_FUSED),
        code.fsub(near, far, flags=_FUSED),
        _plus(code, odd, 2.0, even),
        _plus(code, odd, -2.0, even),
        _plus(code, d[1], 4.0, _plus(code, d[3], -5.0, d[5])),
    ]


def _gather_line(code: _Value, m: Sequence[_Value]) -> list[_Value]:
    """Return six products as four values of the result, along one axis."""
    one, other = code.fadd(m[1], m[2], flags=_FUSED), code.fsub(m[1], m[2], flags=_FUSED)
    two, twice = code.fadd(m[3], m[4], flags=_FUSED), code.fsub(m[3], m[4], flags=_FUSED)
    return [
        code.fadd(code.fadd(m[0], one, flags=_FUSED), two, flags=_FUSED),
        _plus(code, twice, 2.0, other),
        _plus(code, two, 4.0, one),
        code.fadd(_plus(code, twice, 8.0, other), m[5], flags=_FUSED),
    ]


def _along_both(code: _Value, line: Callable[[_Value, Sequence[_Value]], list[_Value]], grid: _Grid) -> _Grid:
    down = [line(code, [row[column] for row in grid]) for column in range(6)]
    return [line(code, [column[row] for column in down]) for row in range(len(down[0]))]


@_vector_code(*[types.intp] * 5)
def spread_tile(code: _Value, source: _Value, row: _Value, column: _Value, target: _Value, step: _Value) -> None:
    """Write 6 x 6 pixels of `source` to the 36 places of `target`, one vector of channels each."""
    _spread(code, _pixels(code, source, row, column, range(6)), target, step)


@_vector_code(*[types.intp] * 7)
def spread_raised_tile(
    code: _Value,
    source: _Value,
    row: _Value,
    column: _Value,
    coarse: _Value,
    coarse_row: _Value,
    target: _Value,
    step: _Value,
) -> None:
    """Do as `spread_tile` with 4 x 4 pixels of `coarse` added: the outer ones once in a row, the others twice."""
    fine = _pixels(code, source, row, column, range(6))
    above = _pixels(code, coarse, coarse_row, column, (0, 1, 1, 2, 2, 3))
    both = [zip(*lines, strict=True) for lines in zip(fine, above, strict=True)]
    _spread(code, [[code.fadd(one, other) for one, other in line] for line in both], target, step)


def _pixels(code: _Value, source: _Value, row: _Value, column: _Value, places: Iterable[int]) -> _Grid:
    places = list(places)
    return [[code.load(_at(code, source, (row, y), (column, x)), align=4) for x in places] for y in places]


def _spread(code: _Value, grid: _Grid, target: _Value, step: _Value) -> None:
    for y, line in enumerate(_along_both(code, _spread_line, grid)):
        for x, value in enumerate(line):
            code.store(value, _at(code, target, (step, 6 * y + x)), align=4)


@_vector_code(types.intp, types.intp, types.intp, types.float32, *[types.intp] * 3)
def gather_tile(
    code: _Value,
    source: _Value,
    step: _Value,
    bias: _Value,
    floor: _Value,
    target: _Value,
    row: _Value,
    column: _Value,
) -> None:
    """Write 4 x 4 pixels from 36 products, plus `bias`, nothing below `floor`; one vector of channels each."""
    grid = [[code.load(_at(code, source, (step, 6 * y + x)), align=4) for x in range(6)] for y in range(6)]
    added, least = code.load(_at(code, bias), align=4), _every_lane(code, floor)
    for y, line in enumerate(_along_both(code, _gather_line, grid)):
        for x, value in enumerate(line):
            shifted = code.fadd(value, added)
            kept = code.select(code.fcmp_ordered(">", shifted, least), shifted, least)
            code.store(kept, _at(code, target, (row, y), (column, x)), align=4)


def _every_lane(code: _Value, value: _Value) -> _Value:
    first = code.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return code.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _register(code: _Value) -> _Value:
    held: _Value = cgutils.alloca_once(code, _VECTOR)  # type: ignore[no-untyped-call]
    return held


def _product(vectors: int) -> _Value:
    """Return a function that multiplies `ROWS` rows with a matrix of so many vectors' width."""

    @_vector_code(*[types.intp] * 7)
    def multiply(
        code: _Value,
        source: _Value,
        row: _Value,
        weights: _Value,
        width: _Value,
        depth: _Value,
        target: _Value,
        target_row: _Value,
    ) -> None:
        beside = ir.Constant(_INT, 4 * LANES)
        sums: _Grid = [[_register(code) for _ in range(vectors)] for _ in range(ROWS)]
        for line in sums:
            for held in line:
                code.store(ir.Constant(_VECTOR, [0.0] * LANES), held)
        with cgutils.for_range(code, depth) as loop:
            first = code.add(weights, code.mul(loop.index, width))
            across = [code.load(_at(code, first, (beside, v)), align=4) for v in range(vectors)]
            here = code.add(source, code.mul(loop.index, ir.Constant(_INT, 4)))
            for number, line in enumerate(sums):
                place = code.add(here, code.mul(row, ir.Constant(_INT, number)))
                value = _every_lane(code, code.load(code.inttoptr(place, _FLOAT.as_pointer()), align=4))
                for held, weight in zip(line, across, strict=True):
                    scaled = code.fmul(value, weight, flags=_FUSED)
                    code.store(code.fadd(scaled, code.load(held), flags=_FUSED), held)
        for number, line in enumerate(sums):
            for v, held in enumerate(line):
                code.store(code.load(held), _at(code, target, (target_row, number), (beside, v)), align=4)

    return multiply


multiply_1, multiply_2, multiply_3 = _product(1), _product(2), _product(3)
