"""The picture of a training run: loss and held-back score by step."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.figure import BLUE, SOFT, image_of, new_figure, plain

if TYPE_CHECKING:
    from PIL import Image

WIDTH_PX, HEIGHT_PX = 900, 560
SHOWN_SINGLY = 60
"""So many points, and no more, are drawn as dots, too."""


def draw_curves(rows: Sequence[dict[str, float]]) -> "Image.Image":
    """Return loss over steps, and below it AP50 over steps; a panel without points says so.

    Raises
    ------
    SettingsError
        matplotlib is not installed.
    """
    figure = new_figure(WIDTH_PX, HEIGHT_PX)
    last = max((row["step"] for row in rows), default=1.0)
    panels = figure.subplots(2, 1, sharex=True)
    for axes, name, title in zip(panels, ("loss", "ap50"), ("loss", "AP50, held back"), strict=True):
        points = [(row["step"], row[name]) for row in rows if name in row]
        plain(axes, title)
        axes.set_xlim(0.0, last)
        if points:
            steps, values = zip(*points, strict=True)
            dot = "o" if len(points) < SHOWN_SINGLY else ""
            axes.plot(steps, values, color=BLUE, marker=dot, markersize=4, clip_on=False)
        else:
            axes.set_yticks([])
            axes.text(0.5, 0.5, "no points yet", color=SOFT, ha="center", transform=axes.transAxes)
    panels[-1].set_xlabel("step", color=SOFT)
    return image_of(figure)
