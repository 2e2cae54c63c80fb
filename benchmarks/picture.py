"""The README's picture, from the files of a demo that was kept.

    cellvigil demo --folder demo && python benchmarks/picture.py --demo demo --out benchmarks/results/0.1.0/demo.png

One column per flask: what the segmenter found on an early and a late frame, and below it the potency that was
published frame by frame with its interval, the true value of the simulation, and when the alarm was raised.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from monitor.frames.reader import ReadLimits, read_frame
from monitor.messages import AlarmChanged, AlarmState, EstimateState, PotencyEstimated
from monitor.segmentation.overlay import render_overlay
from monitor.synthetic.culture import Culture, CultureSpec, demo_fleet
from services.store.record_sqlite import SqliteRecord
from services.transport.file_blobs import FileLabels

VIEW_PX = 300
GAP_PX = 8
PLOT_PX = 194
HEAD_PX = 26
LEFT_PX = 44
RIGHT_PX = 12
MOST_POTENCY = 140.0
INK, FAINT, BAND, TRUTH, ALARM = (30, 30, 30), (205, 205, 205), (196, 214, 236), (150, 150, 150), (200, 30, 30)
POINT = (40, 90, 160)
SCALE_BAR_UM = 100.0
EARLY = 2


def column(spec: CultureSpec, demo: Path, record: SqliteRecord) -> Image.Image:
    """Return one flask's part of the picture."""
    found = [e for e in record.estimates(spec.flask) if e.key.position == spec.positions[0]]
    raised = [a for a in record.alarms(spec.flask) if a.state is AlarmState.RAISED]
    picture = Image.new("RGB", (VIEW_PX + GAP_PX, HEAD_PX + 2 * (VIEW_PX + GAP_PX) + PLOT_PX), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((2, 4), spec.flask, fill=INK, font=ImageFont.load_default(16))
    culture = Culture(spec)
    for number, estimate in enumerate((found[EARLY], found[-1])):
        hour = round((estimate.acquired_at - culture.acquired_at(0)).total_seconds() / spec.interval_s)
        view = _view(estimate, demo, record)
        ImageDraw.Draw(view).text((6, 4), f"hour {hour}", fill="white", font=ImageFont.load_default(15))
        picture.paste(view, (0, HEAD_PX + number * (VIEW_PX + GAP_PX)))
    picture.paste(_plot(spec, culture, found, raised), (0, HEAD_PX + 2 * (VIEW_PX + GAP_PX)))
    return picture


def _view(estimate: PotencyEstimated, demo: Path, record: SqliteRecord) -> Image.Image:
    frame = read_frame(demo / "frames" / estimate.source, root=demo / "frames", pixel_size_um=None, limits=ReadLimits())
    fact = record.segmentation(estimate.frame_id)
    assert fact is not None
    labels = FileLabels(demo / "state" / "masks")
    drawn = render_overlay(frame.pixels, labels.get(fact.cells), labels.get(fact.nuclei))[:VIEW_PX, :VIEW_PX].copy()
    bar = round(SCALE_BAR_UM / frame.pixel_size_um)
    drawn[VIEW_PX - 12 : VIEW_PX - 8, VIEW_PX - 10 - bar : VIEW_PX - 10] = 255
    view = Image.fromarray(drawn)
    place = (VIEW_PX - 10 - bar // 2, VIEW_PX - 14)
    ImageDraw.Draw(view).text(place, f"{SCALE_BAR_UM / 1000.0:.1f} mm", "white", ImageFont.load_default(12), "md")
    return view


def _plot(
    spec: CultureSpec, culture: Culture, found: list[PotencyEstimated], raised: list[AlarmChanged]
) -> Image.Image:
    plot = Image.new("RGB", (VIEW_PX, PLOT_PX), "white")
    draw = ImageDraw.Draw(plot)
    small = ImageFont.load_default(12)

    def at(hour: float, potency: float) -> tuple[float, float]:
        x = LEFT_PX + hour / spec.n_time_points * (VIEW_PX - LEFT_PX - RIGHT_PX)
        return x, (PLOT_PX - 38) * (1.0 - np.clip(potency, 0.0, MOST_POTENCY) / MOST_POTENCY) + 6

    for level in (0, 50, 100):
        draw.line([at(0, level), at(spec.n_time_points, level)], fill=FAINT)
        draw.text((4, at(0, level)[1] - 8), f"{level} %", fill=INK, font=small)
    for hour in range(0, spec.n_time_points + 1, 12):
        draw.text((at(hour, 0)[0] - 6, at(0, 0)[1] + 4), f"{hour}", fill=INK, font=small)
    caption = "hours; simulated truth in grey"
    draw.text((VIEW_PX - RIGHT_PX, at(0, 0)[1] + 14), caption, INK, ImageFont.load_default(12), "ra")
    shown = [
        ((e.acquired_at - culture.acquired_at(0)).total_seconds() / spec.interval_s, e.estimate)
        for e in found
        if e.estimate.state is EstimateState.OK
    ]
    for hour, estimate in shown:
        if estimate.low is not None and estimate.high is not None:
            draw.line([at(hour, estimate.low), at(hour, estimate.high)], fill=BAND, width=4)
    true = [at(hour, culture.true_potency(hour)) for hour in range(spec.n_time_points)]
    draw.line(true, fill=TRUTH, width=2)
    for hour, estimate in shown:
        if estimate.potency is not None:
            x, y = at(hour, estimate.potency)
            draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=POINT)
    for alarm in raised:
        hour = (alarm.at - culture.acquired_at(0)).total_seconds() / spec.interval_s
        draw.line([at(hour, 0), at(hour, MOST_POTENCY)], fill=ALARM, width=2)
        x = at(hour, 0)[0]
        anchor = "ra" if x > VIEW_PX - 90 else "la"
        draw.text((x + (-4 if anchor == "ra" else 4), 4), f"{alarm.channel} alarm", ALARM, small, anchor)
    return plot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--demo", type=Path, required=True, help="folder that `cellvigil demo --folder` filled")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7, help="the seed that the demo was played with")
    args = parser.parse_args()
    with SqliteRecord(args.demo / "state" / "record.sqlite3", readonly=True) as record:
        columns = [column(spec, args.demo, record) for spec in demo_fleet(args.seed)]
    whole = Image.new("RGB", (sum(part.width for part in columns), columns[0].height), "white")
    for number, part in enumerate(columns):
        whole.paste(part, (number * part.width, 0))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    whole.quantize(256).save(args.out, optimize=True)


if __name__ == "__main__":
    main()
