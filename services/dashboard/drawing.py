"""Charts as SVG for the report: drawn here, so that the file needs no script and prints as it shows."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 900, 62, 14, 26, 24
INK, FAINT = "#222222", "#d9d9d9"
TICKS_X, TICKS_Y = 9, 5
LABEL_HALF_PX = 36
STEPS_S = (*(60.0 * n for n in (1, 2, 5, 10, 15, 30)), *(3600.0 * n for n in (1, 2, 3, 6, 12, 24, 48, 168)))
Numbers = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `dash` as SVG writes it, empty is solid; with `dots` points in place of a line."""

    t: Sequence[float]
    v: Numbers
    colour: str
    label: str
    width: float = 1.6
    dash: str = ""
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """An area between two lines."""

    t: Sequence[float]
    low: Numbers
    high: Numbers
    colour: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on the time axis, with a word."""

    t: float
    colour: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: quantities over time, levels across it, moments; `height` in pixels of 900 in width."""

    title: str
    lines: Sequence[Line]
    bands: Sequence[Band] = ()
    levels: Sequence[tuple[float, str, str]] = ()
    marks: Sequence[Mark] = ()
    height: int = 220


def draw(chart: Chart, first_t: float, last_t: float) -> str:
    """Return an SVG picture; all charts of a report share the time axis from `first_t` to `last_t`."""
    low, high = _range(chart)
    frame = _Frame(first_t, max(last_t - first_t, 1.0), high, max(high - low, 1e-9), chart.height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {chart.height}" role="img" '
        f'aria-label="{escape(chart.title)}" font-family="sans-serif" font-size="11" fill="{INK}">',
        f'<text x="{LEFT}" y="15" font-size="13" font-weight="bold">{escape(chart.title)}</text>',
        *_grid(frame, low, high),
    ]
    for band in chart.bands:
        for piece in _pieces(band.t, band.low, band.high):
            there = " ".join(f"{frame.x(t):.1f},{frame.y(b):.1f}" for t, _, b in piece)
            back = " ".join(f"{frame.x(t):.1f},{frame.y(a):.1f}" for t, a, _ in reversed(piece))
            parts.append(f'<polygon points="{there} {back}" fill="{band.colour}" fill-opacity="0.22"/>')
    parts += [_level(frame.y(value), colour, label) for value, colour, label in chart.levels]
    parts += [_mark(frame.x(mark.t), mark, chart.height) for mark in chart.marks if mark.t >= first_t]
    for line in chart.lines:
        parts += _drawn(frame, line)
    return "".join([*parts, *_legend(chart.lines), "</svg>"])


def _range(chart: Chart) -> tuple[float, float]:
    values = [value for line in chart.lines for value in line.v if value is not None]
    values += [value for band in chart.bands for side in (band.low, band.high) for value in side if value is not None]
    values += [value for value, _, _ in chart.levels]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or max(abs(high), 1.0) * 0.05
    return low - room, high + room


def _grid(frame: "_Frame", low: float, high: float) -> Iterator[str]:
    for value in round_values(low, high, TICKS_Y):
        yield f'<path d="M{LEFT} {frame.y(value):.1f}H{WIDTH - RIGHT}" stroke="{FAINT}"/>'
        yield f'<text x="{LEFT - 6}" y="{frame.y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
    for t in round_times(frame.first_t, frame.first_t + frame.span_t, TICKS_X):
        x, moment = frame.x(t), datetime.fromtimestamp(t, UTC)
        side = "end" if x > WIDTH - LABEL_HALF_PX else "middle"  # centred, one at the end would be cut off
        yield f'<path d="M{x:.1f} {frame.height - BOTTOM}v4" stroke="{INK}"/>'
        yield f'<text x="{x:.1f}" y="{frame.height - 7}" text-anchor="{side}">{moment:%d %b %H:%M}</text>'


def round_values(low: float, high: float, most: int) -> list[float]:
    """Return up to `most` + 1 round values of a range, for an axis.

    >>> round_values(34.47, 112.0, 4), round_values(0.26, 0.58, 4)
    ([40.0, 60.0, 80.0, 100.0], [0.3, 0.4, 0.5])
    """
    least = max(high - low, 1e-9) / most
    size = 10.0 ** math.floor(math.log10(least))
    step = next(size * factor for factor in (1.0, 2.0, 5.0, 10.0) if size * factor >= least * (1.0 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def round_times(first_t: float, last_t: float, most: int) -> list[float]:
    """Return up to `most` + 1 round times of a range in seconds since 1970, for an axis.

    >>> hour = 3600.0
    >>> [t / hour for t in round_times(8.0 * hour, 55.0 * hour, 9)]
    [12.0, 18.0, 24.0, 30.0, 36.0, 42.0, 48.0, 54.0]
    >>> round_times(100.0, 400.0, 7)
    [120.0, 180.0, 240.0, 300.0, 360.0]
    """
    least = (last_t - first_t) / most
    step = next((step for step in STEPS_S if step >= least), math.ceil(least / STEPS_S[-1]) * STEPS_S[-1])
    first, last = math.ceil(first_t / step), math.floor(last_t / step)
    return [number * step for number in range(first, last + 1)]


def _pieces(t: Sequence[float], low: Numbers, high: Numbers) -> Iterator[list[tuple[float, float, float]]]:
    """Yield the parts of a course between its gaps."""
    piece: list[tuple[float, float, float]] = []
    for at, a, b in zip(t, low, high, strict=True):
        if a is None or b is None:
            if piece:
                yield piece
            piece = []
        else:
            piece.append((at, a, b))
    if piece:
        yield piece


def _drawn(frame: "_Frame", line: Line) -> Iterator[str]:
    for piece in _pieces(line.t, line.v, line.v):
        points = [(frame.x(t), frame.y(v)) for t, v, _ in piece]
        if line.dots:
            dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
            yield f'<path d="{dots}" stroke="{line.colour}" stroke-width="{line.width}" stroke-linecap="round"/>'
            continue
        told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
        yield f'<polyline points="{told}" fill="none" stroke="{line.colour}" stroke-width="{line.width}"{dash}/>'


def _level(y: float, colour: str, label: str) -> str:
    return (
        f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{colour}" stroke-dasharray="6 4"/>'
        f'<text x="{WIDTH - RIGHT - 4}" y="{y - 4:.1f}" text-anchor="end" fill="{colour}">{escape(label)}</text>'
    )


def _mark(x: float, mark: Mark, height: int) -> str:
    return (
        f'<path d="M{x:.1f} {TOP}V{height - BOTTOM}" stroke="{mark.colour}" stroke-width="1.2"/>'
        f'<text x="{x + 3:.1f}" y="{TOP + 10}" fill="{mark.colour}">{escape(mark.label)}</text>'
    )


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    x = WIDTH - RIGHT
    for line in reversed([line for line in lines if line.label]):
        yield f'<text x="{x}" y="15" text-anchor="end" fill="{line.colour}">{escape(line.label)}</text>'
        x -= 7 * len(line.label) + 18


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where times and values lie in a picture."""

    first_t: float
    span_t: float
    high: float
    span_v: float
    height: int

    def x(self, t: float) -> float:
        return LEFT + (t - self.first_t) / self.span_t * (WIDTH - LEFT - RIGHT)

    def y(self, v: float) -> float:
        return TOP + (self.high - v) / self.span_v * (self.height - TOP - BOTTOM)
