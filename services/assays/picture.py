"""The picture of a report: estimates with intervals against results, and the rolling coverage below."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from monitor.potency.agreement import CONFIDENCE
from services.assays.score import BiomarkerAgreement, Recorded, scored
from services.assays.words import models_of
from services.demo_model import OF_DEMO, is_of_demo
from services.figure import BLUE, FAINT, INK, ORANGE, PALE, SOFT, image_of, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure
    from PIL import Image

WIDTH_PX, BLOCK_PX = 1000, 910
INSIDE, OUTSIDE = BLUE, ORANGE
DAYS_MOST = 6
"""So many results have their number and day below the course of the coverage."""


def draw(found: Sequence[BiomarkerAgreement], recorded: Sequence[Recorded], last: int) -> "Image.Image":
    """Return a block for every biomarker, one below the other.

    Raises
    ------
    SettingsError
        matplotlib is not installed.
    """
    figure = new_figure(WIDTH_PX, BLOCK_PX * len(found))
    blocks = figure.subfigures(len(found), 1, squeeze=False)
    for block, one in zip(blocks[:, 0], found, strict=True):
        own = scored([part for part in recorded if part.result.biomarker == one.biomarker])
        _block(block, one, own, last)
    return image_of(figure)


def _block(block: "SubFigure", one: BiomarkerAgreement, own: Sequence[Recorded], last: int) -> None:
    unit = f", {one.unit}" if one.unit else ""
    block.suptitle(f"{one.biomarker}{unit}: estimates against later results", x=0.04, ha="left", fontsize=13, color=INK)
    if is_of_demo(models_of(part.result for part in own)):
        block.supxlabel(OF_DEMO, x=0.04, ha="left", fontsize=9.5, color=OUTSIDE)
    if not own:
        text = f"{one.results} results, none of them with an estimate (not assessable)"
        block.text(0.04, 0.9, text, color=SOFT, fontsize=10.5)
        return
    grid = block.add_gridspec(2, 2, height_ratios=(2.0, 1.0), width_ratios=(1.3, 1.0))
    against, words = block.add_subplot(grid[0, 0]), block.add_subplot(grid[0, 1])
    _against(against, own)
    _words(words, one)
    signs = against.get_legend_handles_labels()
    words.legend(
        *signs,
        loc="center left",
        bbox_to_anchor=(0.0, 0.35),
        borderaxespad=0.0,
        frameon=False,
        fontsize=10,
        labelcolor=SOFT,
    )
    _rolling(block.add_subplot(grid[1, :]), one, last)


def _against(axes: "Axes", own: Sequence[Recorded]) -> None:
    from matplotlib.ticker import MaxNLocator

    plain(axes, "estimated, with interval")
    axes.grid(axis="both", color=FAINT)
    values = [
        value
        for r in own
        for value in (r.result.value, r.result.link.low, r.result.link.estimate, r.result.link.high)
        if value is not None
    ]
    marks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(min(values), max(values))
    axes.set(xticks=marks, yticks=marks, xlim=(marks[0], marks[-1]), ylim=(marks[0], marks[-1]), aspect="equal")
    axes.set_xlabel("measured", color=INK)
    axes.axline((marks[0], marks[0]), slope=1.0, color=SOFT, linewidth=1.5, label="estimate = result")
    for inside, colour, label in ((True, INSIDE, "result inside its interval"), (False, OUTSIDE, "result outside")):
        some = [r.result for r in own if bool(r.result.inside) == inside]
        at = [one.value for one in some]
        low, middle, high = ([getattr(one.link, name) or 0.0 for one in some] for name in ("low", "estimate", "high"))
        axes.vlines(at, low, high, color=colour, linewidth=1.5)
        axes.plot(at, middle, "o", color=colour, markersize=5.5, label=label)


def _words(axes: "Axes", one: BiomarkerAgreement) -> None:
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
    axes.set_axis_off()
    axes.text(0.0, 0.97, "\n".join(lines), color=INK, fontsize=11, va="top", linespacing=1.7, transform=axes.transAxes)


def _rolling(axes: "Axes", one: BiomarkerAgreement, last: int) -> None:
    nominal = f"{one.whole.nominal:.0%}"
    title = f"coverage over the last {last} results with its {CONFIDENCE:.0%} range; the line is the nominal {nominal}"
    plain(axes, title)
    points = one.rolling
    axes.set(xlim=(1.0, max(2.0, float(len(points)))), ylim=(0.0, 1.0), yticks=(0.0, 0.25, 0.5, 0.75, 1.0))
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    known = [(p.until, p.coverage, *p.coverage_range) for p in points if p.coverage is not None and p.coverage_range]
    axes.axhline(one.whole.nominal, color=INK, linewidth=1.3)
    if known:
        until, coverage, low, high = zip(*known, strict=True)
        axes.fill_between(until, low, high, color=PALE)
        axes.plot(until, coverage, color=INSIDE, linewidth=2.0, marker="o", markevery=[-1], clip_on=False)
    else:
        text = f"{one.whole.flasks} flasks: too few to judge"
        axes.text(0.5, 0.625, text, color=SOFT, fontsize=11.5, ha="center", va="center", transform=axes.transAxes)
    shown = _places(len(points), DAYS_MOST)
    axes.set_xticks([n + 1 for n in shown], [f"{n + 1}\n{points[n].at:%Y-%m-%d}" for n in shown])
    axes.set_xlabel("result, in the order of sampling", loc="left", color=INK)


def _places(count: int, most: int) -> list[int]:
    """Return some of `count` places, the first and the last among them."""
    shown = min(count, most)
    return sorted({round(part * (count - 1) / max(1, shown - 1)) for part in range(shown)})
