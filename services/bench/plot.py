"""The picture of a report: engines beside what is possible, where a frame's time goes, and how long frames wait."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

from services.bench.report import Report, made_on, verdict
from services.bench.stages import NETWORK
from services.figure import BLUE, INK, PALE, SOFT, image_of, new_figure, plain
from services.figure import ORANGE as LIMIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image

WIDTH_PX, ROW_PX, TITLE_PX, TEXT_PX = 1100, 30, 60, 60
LETTERS = 150
"""In a line over the whole width."""
BARS_SHARE = 0.62
"""Of the width for the longest bar; what stands at its end has the rest."""


@dataclass(frozen=True, slots=True)
class _Bar:
    """A bar with its name, what stands at its end, the span of its value and a mark, all in the axis' unit."""

    name: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    mark: float | None = None


def draw(report: Report) -> "Image.Image":
    """Return the picture, as high as it needs to be.

    Raises
    ------
    SettingsError
        matplotlib is not installed.
    """
    engines, stages, latencies = _engines(report), _stages(report), _latencies(report)
    rows = [TITLE_PX + ROW_PX * len(bars) for bars in (engines, stages, latencies)]
    figure = new_figure(WIDTH_PX, sum(rows) + 2 * TEXT_PX)
    first, second, third = figure.subplots(3, 1, height_ratios=rows)
    figure.suptitle(fill(made_on(report), LETTERS), x=0.03, ha="left", fontsize=10, color=SOFT)
    side = report["serving"]["size_px"]
    title = f"The network alone, frames of {side} x {side} px: ms per megapixel, shorter is faster"
    if any(bar.mark is not None for bar in engines):
        title += "; the line: the roofline of\ndirect convolutions, by rates of the same run"
    _bars(first, title, engines)
    whole = sum(bar.value for bar in stages)
    _bars(second, f"One frame through the whole chain, {report['serving']['runs']}: {_short(whole)} ms", stages)
    load = report["load"]
    _bars(third, _title(load), latencies, pale=float(load["settle_s"]) if load else 0.0)
    figure.supxlabel(fill(verdict(report), LETTERS), x=0.03, ha="left", fontsize=10, color=INK)
    return image_of(figure)


def _engines(report: Report) -> list[_Bar]:
    side = report["serving"]["size_px"]
    best = [(engine["runs"], _best(engine["times"], side)) for engine in report["engines"]]
    return [_engine_bar(runs, times) for runs, times in best if times is not None]


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


def _stages(report: Report) -> list[_Bar]:
    """Return the network's time, then the others', the longest first."""
    stages = {name: float(stage["median"]) for name, stage in report["stages_ms"].items()}
    whole = sum(stages.values()) or 1.0
    order = sorted(stages, key=lambda name: (name != NETWORK, -stages[name]))
    return [
        _Bar(name, stages[name], f"{_short(stages[name])} ms, {100.0 * stages[name] / whole:.1f} %") for name in order
    ]


def _latencies(report: Report) -> list[_Bar]:
    load = report["load"]
    if load is None:
        return []
    named = (("median", "p50_s"), ("95 % of the frames", "p95_s"), ("99 % of the frames", "p99_s"))
    half = load["half_load"]
    return [_Bar(name, half[key], f"{half[key]:.2f} s") for name, key in named]


def _title(load: dict[str, Any] | None) -> str:
    if load is None:
        return "From file closed to estimate: no load was offered (--no-load)"
    half = load["half_load"]
    return (
        f"From file closed to estimate, {half['frames']} frames at {half['rate_per_s']:.2f} a second: half of the "
        f"{load['flat_out']['frames_per_s']:.2f} that the processes get through;\n"
        f"pale: waiting {load['settle_s']} s whether the file is complete"
    )


def _bars(axes: "Axes", title: str, bars: Sequence[_Bar], *, pale: float = 0.0) -> None:
    """Draw bars on one axis from zero; the first `pale` of each in another colour."""
    plain(axes, title)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars], color=INK, fontsize=10)
    if not bars:
        return
    axes.spines["left"].set_visible(True)
    axes.set(ylim=(len(bars) - 0.4, -0.6), xlim=(0.0, (max(bar.high or bar.value for bar in bars) or 1.0) / BARS_SHARE))
    axes.barh(range(len(bars)), [bar.value for bar in bars], 0.62, color=BLUE)
    if pale > 0.0:
        axes.barh(range(len(bars)), [min(pale, bar.value) for bar in bars], 0.62, color=PALE)
    for row, bar in enumerate(bars):
        reach = max(value for value in (bar.value, bar.high, bar.mark) if value is not None)
        if bar.low is not None and bar.high is not None:
            axes.hlines(row, bar.low, bar.high, color=INK, linewidth=1.5)
        if bar.mark is not None:
            axes.vlines(bar.mark, row - 0.4, row + 0.4, color=LIMIT, linewidth=2.5)
        axes.annotate(bar.text, (reach, row), (8, 0), textcoords="offset points", va="center", fontsize=10, color=INK)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
