"""The picture of a report: engines beside what is possible, where a frame's time goes, and how long frames wait."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from services.bench.report import Report, made_on, verdict
from services.bench.stages import NETWORK

WIDTH_PX, EDGE_PX, NAMES_PX = 1100, 40, 230
ROW_PX, BAR_PX = 30, 18
INK, SOFT, FAINT = (40, 40, 40), (110, 110, 110), (215, 215, 215)
BLUE, LIMIT, WAITING = (40, 90, 160), (200, 80, 30), (190, 205, 225)
COLOURS = (
    (40, 90, 160), (225, 150, 40), (70, 150, 95), (170, 80, 140), (110, 110, 110), (205, 95, 75), (85, 165, 185),
    (150, 130, 60), (120, 90, 190), (200, 170, 190), (60, 60, 120), (190, 200, 110),
)  # fmt: skip
"""The first is the network's."""


@dataclass(frozen=True, slots=True)
class _Bar:
    """A bar with its name, what stands at its end, the span of its value and a mark, all in the axis' unit."""

    name: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    mark: float | None = None


def draw(report: Report) -> Image.Image:
    """Return the picture, as high as it needs to be."""
    parts: list[Callable[[_Sheet], None]] = [
        lambda sheet: _engines(sheet, report),
        lambda sheet: _stages(sheet, report),
        lambda sheet: _latencies(sheet, report),
    ]
    sheet = _Sheet()
    sheet.line(made_on(report), SOFT)
    for part in parts:
        part(sheet)
    sheet.space()
    sheet.line(verdict(report), INK)
    return sheet.cut()


def _engines(sheet: "_Sheet", report: Report) -> None:
    side = report["serving"]["size_px"]
    sheet.title(f"The network alone, frames of {side} x {side} px: ms per megapixel, shorter is faster")
    bars = []
    for engine in report["engines"]:
        best = _best(engine["times"], side)
        if best is not None:
            bars.append(_engine_bar(engine["runs"], best))
    if any(bar.mark is not None for bar in bars):
        sheet.line("the line: the roofline of direct convolutions, by rates of the same run", LIMIT)
    sheet.bars(bars)


def _engine_bar(runs: str, times: dict[str, Any]) -> _Bar:
    to_megapixel = times["ms_per_megapixel"] / times["ms_per_frame"]["median"]
    low, high = (to_megapixel * value for value in times["ms_per_frame"]["p5_p95"])
    floor = times["roofline_ms_per_frame"]
    limit = "" if times["of_roofline"] is None else f", {100 * times['of_roofline']:.0f} % of the roofline"
    return _Bar(
        f"{runs}, batch {times['batch']}",
        times["ms_per_megapixel"],
        f"{_short(times['ms_per_megapixel'])} ms, {_short(times['frames_per_s'])} frames/s{limit}",
        low,
        high,
        None if floor is None else to_megapixel * floor,
    )


def _best(times: Sequence[dict[str, Any]], side: int) -> dict[str, Any] | None:
    usable = [one for one in times if one["size_px"] == side and not one["why_not"]]
    return min(usable, key=lambda one: float(one["ms_per_megapixel"]), default=None)


def _stages(sheet: "_Sheet", report: Report) -> None:
    serving = report["serving"]
    stages = {name: float(stage["median"]) for name, stage in report["stages_ms"].items()}
    whole = sum(stages.values())
    sheet.title(f"One frame through the whole chain, {serving['runs']}: {_short(whole)} ms")
    order = sorted(stages, key=lambda name: (name != NETWORK, -stages[name]))
    sheet.stack([(name, stages[name]) for name in order])


def _latencies(sheet: "_Sheet", report: Report) -> None:
    load = report["load"]
    if load is None:
        sheet.title("From file closed to estimate")
        sheet.line("no load was offered (--no-load)", SOFT)
        return
    half, flat_out = load["half_load"], load["flat_out"]
    sheet.title(
        f"From file closed to estimate, {half['frames']} frames at {half['rate_per_s']:.2f} a second: half of the "
        f"{flat_out['frames_per_s']:.2f} that the processes get through"
    )
    sheet.line(f"pale: waiting {load['settle_s']} s whether the file is complete", SOFT)
    named = (("median", "p50_s"), ("95 % of the frames", "p95_s"), ("99 % of the frames", "p99_s"))
    sheet.bars(
        [_Bar(name, half[key], f"{half[key]:.2f} s", mark=None) for name, key in named], pale=float(load["settle_s"])
    )


class _Sheet:
    """Draws from top to bottom; `y` is where the next thing goes."""

    def __init__(self) -> None:
        self._picture = Image.new("RGB", (WIDTH_PX, 4000), "white")
        self._draw = ImageDraw.Draw(self._picture)
        self._y = 20

    def space(self) -> None:
        self._y += 14

    def title(self, text: str) -> None:
        self.space()
        self._draw.text((EDGE_PX, self._y), text, INK, ImageFont.load_default(17))
        self._y += 30

    def line(self, text: str, colour: tuple[int, int, int]) -> None:
        """Write text over as many lines as it needs."""
        lines = [""]
        for word in text.split():
            if self._width(f"{lines[-1]} {word}") > WIDTH_PX - 2 * EDGE_PX:
                lines.append("")
            lines[-1] = f"{lines[-1]} {word}".strip()
        for line in lines:
            self._draw.text((EDGE_PX, self._y), line, colour, ImageFont.load_default(14))
            self._y += 24

    def bars(self, bars: Sequence[_Bar], *, pale: float = 0.0) -> None:
        """Draw bars on one axis from zero; the first `pale` of each in another colour."""
        left, room = EDGE_PX + NAMES_PX, WIDTH_PX - 2 * EDGE_PX - NAMES_PX
        most = max([bar.high or bar.value for bar in bars], default=1.0) or 1.0
        # what stands at the end of the longest bar needs room too
        widest = max((self._width(bar.text) for bar in bars), default=0.0)
        scale = (room - widest - 16.0) / most
        for bar in bars:
            top, end = self._y, left + bar.value * scale
            middle = top + BAR_PX // 2
            self._draw.text((left - 10, middle), bar.name, INK, ImageFont.load_default(14), "rm")
            self._draw.rectangle([left, top, max(end, left + 1), top + BAR_PX], fill=BLUE)
            if pale > 0.0:
                self._draw.rectangle([left, top, left + min(pale, bar.value) * scale, top + BAR_PX], fill=WAITING)
            reach = end
            if bar.low is not None and bar.high is not None:
                reach = left + bar.high * scale
                self._draw.line([left + bar.low * scale, middle, reach, middle], fill=INK, width=2)
            if bar.mark is not None:
                at = left + bar.mark * scale
                self._draw.line([at, top - 3, at, top + BAR_PX + 3], fill=LIMIT, width=3)
                reach = max(reach, at)
            self._draw.text((max(end, reach) + 10, middle), bar.text, INK, ImageFont.load_default(14), "lm")
            self._y += ROW_PX
        self._draw.line([left, self._y - len(bars) * ROW_PX - 4, left, self._y - 6], fill=SOFT)

    def stack(self, parts: Sequence[tuple[str, float]]) -> None:
        """Draw parts of a whole side by side, and what each is below."""
        whole = sum(value for _, value in parts) or 1.0
        room = WIDTH_PX - 2 * EDGE_PX
        at = float(EDGE_PX)
        for number, (_, value) in enumerate(parts):
            end = at + room * value / whole
            self._draw.rectangle([at, self._y, max(at + 1, end), self._y + 34], fill=COLOURS[number % len(COLOURS)])
            at = end
        self._y += 48
        columns = 3
        for number, (name, value) in enumerate(parts):
            x = EDGE_PX + number % columns * (room // columns)
            y = self._y + number // columns * 24
            self._draw.rectangle([x, y + 2, x + 14, y + 16], fill=COLOURS[number % len(COLOURS)])
            text = f"{name}: {_short(value)} ms, {100.0 * value / whole:.1f} %"
            self._draw.text((x + 22, y), text, INK, ImageFont.load_default(14))
        self._y += 24 * math.ceil(len(parts) / columns) + 8

    def cut(self) -> Image.Image:
        """Return what was drawn."""
        return self._picture.crop((0, 0, WIDTH_PX, self._y + 20))

    def _width(self, text: str) -> float:
        return self._draw.textlength(text, font=ImageFont.load_default(14))


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
