"""Figures of numbers, drawn by matplotlib, which the extra `plot` brings (`pip install "cellvigil[plot]"`)."""

from typing import TYPE_CHECKING

from monitor.errors import SettingsError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL import Image

PX_PER_INCH = 100
INK, SOFT, FAINT = "#282828", "#6e6e6e", "#dcdcdc"
BLUE, ORANGE, PALE = "#285aa0", "#c8501e", "#cddaee"


def check_matplotlib() -> None:
    """Refuse to draw where matplotlib is missing.

    Raises
    ------
    SettingsError
        `no_matplotlib`, with the extra that brings it.
    """
    try:
        import matplotlib  # noqa: F401 (whether it is there)
    except ImportError as error:
        message = "the picture needs matplotlib: pip install 'cellvigil[plot]', or leave the picture out"
        raise SettingsError(message, reason="no_matplotlib") from error


def new_figure(width_px: int, height_px: int) -> "Figure":
    """Return an empty figure whose parts find their places by themselves; raises as `check_matplotlib`."""
    check_matplotlib()
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    size = (width_px / PX_PER_INCH, height_px / PX_PER_INCH)
    return Figure(size, PX_PER_INCH, layout=ConstrainedLayoutEngine(w_pad=0.25, h_pad=0.12))


def plain(axes: "Axes", title: str) -> None:
    """Give axes a title at the left, faint lines at the marks of the upright axis, and no frame."""
    axes.set_title(title, loc="left", fontsize=10.5, color=INK)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(length=0, pad=6, labelsize=9, labelcolor=SOFT)
    axes.grid(axis="y", color=FAINT)
    axes.set_axisbelow(True)


def image_of(figure: "Figure") -> "Image.Image":
    """Return the figure as RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]  # matplotlib
    return Image.frombuffer("RGBA", canvas.get_width_height(), pixels).convert("RGB")
