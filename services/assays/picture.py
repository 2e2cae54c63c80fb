"""The picture of a report: estimates with intervals against results, and the rolling coverage below."""

import math
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw, ImageFont

from monitor.potency.agreement import CONFIDENCE
from services.assays.score import BiomarkerAgreement, Recorded, scored
from services.assays.words import models_of
from services.demo_model import OF_DEMO, is_of_demo

WIDTH_PX, BLOCK_PX, EDGE_PX = 1000, 910, 70
SQUARE_PX, ROLLING_PX = 440, 200
INK, SOFT, FAINT = (40, 40, 40), (110, 110, 110), (222, 222, 222)
INSIDE, OUTSIDE, BAND = (40, 90, 160), (205, 85, 30), (205, 218, 238)
FINE = 2
"""Drawn so many times as large, and made smaller for smooth edges."""
Box = tuple[float, float, float, float]
Scale = Callable[[float], float]


def draw(found: Sequence[BiomarkerAgreement], recorded: Sequence[Recorded], last: int) -> Image.Image:
    """Return a block for every biomarker, one below the other."""
    picture = Image.new("RGB", (WIDTH_PX * FINE, BLOCK_PX * len(found) * FINE), "white")
    pen = _Pen(ImageDraw.Draw(picture))
    for number, one in enumerate(found):
        own = scored([part for part in recorded if part.result.biomarker == one.biomarker])
        _block(pen, number * BLOCK_PX, one, own, last)
    return picture.resize((WIDTH_PX, BLOCK_PX * len(found)), Image.Resampling.LANCZOS)


class _Pen:
    """Draws in pixels of the finished picture."""

    def __init__(self, draw_: ImageDraw.ImageDraw) -> None:
        self._draw = draw_

    def line(self, points: Sequence[tuple[float, float]], colour: tuple[int, int, int], width: float = 1.0) -> None:
        self._draw.line([(x * FINE, y * FINE) for x, y in points], fill=colour, width=max(1, round(width * FINE)))

    def dot(self, x: float, y: float, colour: tuple[int, int, int], radius: float = 3.5) -> None:
        self._draw.ellipse([(x - radius) * FINE, (y - radius) * FINE, (x + radius) * FINE, (y + radius) * FINE], colour)

    def area(self, points: Sequence[tuple[float, float]], colour: tuple[int, int, int]) -> None:
        self._draw.polygon([(x * FINE, y * FINE) for x, y in points], fill=colour)

    def text(
        self, x: float, y: float, text: str, colour: tuple[int, int, int] = INK, size: int = 14, anchor: str = "la"
    ) -> None:
        self._draw.text((x * FINE, y * FINE), text, colour, ImageFont.load_default(size * FINE), anchor)


def _block(pen: _Pen, top: float, one: BiomarkerAgreement, own: Sequence[Recorded], last: int) -> None:
    unit = f", {one.unit}" if one.unit else ""
    pen.text(EDGE_PX - 30, top + 22, f"{one.biomarker}{unit}: estimates against later results", size=18)
    if is_of_demo(models_of(part.result for part in own)):
        pen.text(EDGE_PX - 30, top + 48, OF_DEMO, OUTSIDE, 13)
    if not own:
        pen.text(EDGE_PX, top + 60, f"{one.results} results, none of them with an estimate (not assessable)", SOFT)
        return
    left = EDGE_PX + 10.0
    _against(pen, (left, top + 96, left + SQUARE_PX, top + 96 + SQUARE_PX), own)
    _words(pen, left + SQUARE_PX + 40, top + 110, one)
    bottom = top + 96 + SQUARE_PX + 96
    _rolling(pen, (left, bottom, WIDTH_PX - EDGE_PX, bottom + ROLLING_PX), one, last)


def _against(pen: _Pen, box: Box, own: Sequence[Recorded]) -> None:
    values = [
        value
        for r in own
        for value in (r.result.value, r.result.link.low, r.result.link.estimate, r.result.link.high)
        if value is not None
    ]
    marks = ticks(min(values), max(values))
    x, y = _scales(box, (marks[0], marks[-1]), (marks[0], marks[-1]))
    for mark in marks:
        pen.line([(x(mark), box[1]), (x(mark), box[3])], FAINT)
        pen.line([(box[0], y(mark)), (box[2], y(mark))], FAINT)
        pen.text(x(mark), box[3] + 6, f"{mark:g}", SOFT, 13, "ma")
        pen.text(box[0] - 8, y(mark), f"{mark:g}", SOFT, 13, "rm")
    pen.line([(x(marks[0]), y(marks[0])), (x(marks[-1]), y(marks[-1]))], SOFT, 1.5)
    for inside in (True, False):
        for one in (r.result for r in own if bool(r.result.inside) == inside):
            colour, at = INSIDE if inside else OUTSIDE, x(one.value)
            pen.line([(at, y(one.link.low or 0.0)), (at, y(one.link.high or 0.0))], colour, 1.3)
            pen.dot(at, y(one.link.estimate or 0.0), colour)
    pen.text((box[0] + box[2]) / 2, box[3] + 28, "measured", INK, 14, "ma")
    pen.text(box[0] - 40, box[1] - 12, "estimated, with interval", INK, 14, "ls")


def _words(pen: _Pen, left: float, top: float, one: BiomarkerAgreement) -> None:
    whole = one.whole
    lines = [f"{whole.results} results of {whole.flasks} flasks"]
    if one.not_assessable:
        lines.append(f"and {one.not_assessable} without an estimate, not drawn")
    if whole.coverage is None or whole.coverage_range is None:
        lines += [f"{whole.inside:g} of {whole.flasks} inside the interval", str(whole.verdict)]
    else:
        low, high = whole.coverage_range
        lines.append(f"coverage {whole.coverage:.0%} ({low:.0%} to {high:.0%})")
        lines.append(f"nominal {whole.nominal:.0%}: {whole.verdict}")
    for name, value, within in (("bias", whole.bias, whole.bias_range), ("slope", whole.slope, whole.slope_range)):
        if value is not None and within is not None:
            lines.append(f"{name} {value:.3g} ({within[0]:.3g} to {within[1]:.3g})")
    if whole.rmse is not None:
        lines.append(f"RMSE {whole.rmse:.3g}")
    for number, line in enumerate(lines):
        pen.text(left, top + 26 * number, line, INK, 15)
    below = top + 26 * len(lines) + 16
    for colour, text in ((INSIDE, "result inside its interval"), (OUTSIDE, "result outside")):
        pen.line([(left + 6, below), (left + 6, below + 18)], colour, 1.3)
        pen.dot(left + 6, below + 9, colour)
        pen.text(left + 22, below, text, SOFT)
        below += 24
    pen.line([(left, below + 14), (left + 13, below + 3)], SOFT, 1.5)
    pen.text(left + 22, below, "estimate = result", SOFT)


def _rolling(pen: _Pen, box: Box, one: BiomarkerAgreement, last: int) -> None:
    nominal = f"{one.whole.nominal:.0%}"
    title = f"coverage over the last {last} results with its {CONFIDENCE:.0%} range; the line is the nominal {nominal}"
    pen.text(box[0] - 40, box[1] - 16, title, INK, 14, "ls")
    points = one.rolling
    x, y = _scales(box, (1.0, max(2.0, float(len(points)))), (0.0, 1.0))
    for mark in (0.0, 0.25, 0.5, 0.75, 1.0):
        pen.line([(box[0], y(mark)), (box[2], y(mark))], FAINT)
        pen.text(box[0] - 8, y(mark), f"{mark:.0%}", SOFT, 13, "rm")
    known = [(x(p.until), p.coverage, p.coverage_range) for p in points if p.coverage is not None and p.coverage_range]
    if known:
        edge = [(at, y(within[1])) for at, _, within in known] + [(at, y(within[0])) for at, _, within in known[::-1]]
        if len(known) > 1:
            pen.area(edge, BAND)
        else:
            pen.line(edge, BAND, 3.0)
    pen.line([(box[0], y(one.whole.nominal)), (box[2], y(one.whole.nominal))], INK, 1.3)
    if known:
        pen.line([(at, y(coverage)) for at, coverage, _ in known], INSIDE, 2.0)
        for at, coverage, _ in known[-1:]:
            pen.dot(at, y(coverage), INSIDE)
    else:
        # between two lines of the grid
        pen.text((box[0] + box[2]) / 2, y(0.625), f"{one.whole.flasks} flasks: too few to judge", SOFT, 16, "mm")
    for number in _places(len(points)):
        day = points[number].at
        pen.text(x(number + 1), box[3] + 6, f"{number + 1}", SOFT, 13, "ma")
        pen.text(x(number + 1), box[3] + 24, f"{day:%Y-%m-%d}", SOFT, 12, "ma")
    pen.text(box[0] - 40, box[3] + 44, "result, in the order of sampling", INK, 13)


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Return round numbers that span a range, evenly apart.

    >>> ticks(3.0, 97.0)
    [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    >>> ticks(5.0, 5.0)
    [4.0, 4.5, 5.0, 5.5, 6.0]
    """
    if high - low < 1e-12 * max(1.0, abs(high)):
        low, high = low - 1.0, high + 1.0
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * part for part in (1.0, 2.0, 2.5, 5.0, 10.0) if power * part >= rough * (1.0 - 1e-9))
    first, final = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, final + 1)]


def _places(count: int, most: int = 6) -> list[int]:
    """Return some of `count` places, the first and the last among them."""
    shown = min(count, most)
    return sorted({round(part * (count - 1) / max(1, shown - 1)) for part in range(shown)})


def _scales(box: Box, across: tuple[float, float], up: tuple[float, float]) -> tuple[Scale, Scale]:
    left, top, right, bottom = box

    def x(value: float) -> float:
        return left + (value - across[0]) / (across[1] - across[0]) * (right - left)

    def y(value: float) -> float:
        return bottom - (value - up[0]) / (up[1] - up[0]) * (bottom - top)

    return x, y
