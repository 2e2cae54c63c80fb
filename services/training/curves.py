"""The picture of a training run: loss and held-back score by step."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

WIDTH_PX, PANEL_PX, EDGE_PX = 900, 280, 56
INK, FAINT, LINE = (40, 40, 40), (215, 215, 215), (40, 90, 160)


def draw_curves(rows: Sequence[dict[str, float]]) -> Image.Image:
    """Return loss over steps, and below it AP50 over steps; a panel without points says so."""
    picture = Image.new("RGB", (WIDTH_PX, 2 * PANEL_PX), "white")
    draw = ImageDraw.Draw(picture)
    last = max((row["step"] for row in rows), default=1.0)
    _panel(draw, 0, "loss", [(row["step"], row["loss"]) for row in rows if "loss" in row], last)
    _panel(draw, PANEL_PX, "AP50, held back", [(row["step"], row["ap50"]) for row in rows if "ap50" in row], last)
    return picture


def _panel(draw: ImageDraw.ImageDraw, top: int, title: str, points: list[tuple[float, float]], last: float) -> None:
    font = ImageFont.load_default(13)
    draw.text((EDGE_PX, top + 8), title, INK, ImageFont.load_default(15))
    if not points:
        draw.text((EDGE_PX, top + PANEL_PX // 2), "no points yet", INK, font)
        return
    low, high = min(value for _, value in points), max(value for _, value in points)
    low, high = (low - 0.05, high + 0.05) if high - low < 1e-9 else (low, high)

    def at(step: float, value: float) -> tuple[float, float]:
        x = EDGE_PX + step / last * (WIDTH_PX - 2 * EDGE_PX)
        return x, top + 34 + (high - value) / (high - low) * (PANEL_PX - 34 - 40)

    for value in (low, (low + high) / 2.0, high):
        draw.line([at(0, value), at(last, value)], fill=FAINT)
        draw.text((6, at(0, value)[1] - 8), f"{value:.3g}", INK, font)
    for part in range(5):
        step = last * part / 4.0
        draw.text((at(step, low)[0], at(0, low)[1] + 6), f"{step:.0f}", INK, font, "ma")
    draw.line([at(step, value) for step, value in points], fill=LINE, width=2)
    if len(points) < 60:
        for step, value in points:
            x, y = at(step, value)
            draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=LINE)
