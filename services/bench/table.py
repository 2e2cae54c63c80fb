"""A report as tables on the terminal; every number with its unit, every definition in a caption."""

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from services.bench.report import Report, made_on, verdict
from services.bench.stages import NETWORK


def show(report: Report, console: Console) -> None:
    """Print the machine, the tables and, last, the one sentence that they come to."""
    console.print(made_on(report), markup=False, highlight=False, soft_wrap=True)
    console.print()
    console.print(engines_table(report))
    for line in left_out(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    tables = [*times_tables(report), stages_table(report)]
    tables += [] if report["load"] is None else [load_table(report)]
    for table in tables:
        console.print()
        console.print(table)
    console.print()
    console.print(verdict(report), markup=False, highlight=False, soft_wrap=True)


def engines_table(report: Report) -> Table:
    """Return one row for every engine: how it starts and whether it agrees with eager, or that it cannot run here."""
    side = report["serving"]["size_px"]
    table = _table(
        "Engines",
        "made: weights read, engine made or loaded; built: only where that was done now; first call: of a frame of "
        f"{side} x {side} px, after which warm ones follow; as eager: same cells and features on the shipped frames",
    )
    _columns(table, "engine", "made s", "built s", "first call ms")
    table.add_column("as eager")
    for engine in report["engines"]:
        if engine["why_not"]:
            table.add_row(engine["engine"], "", "", "", "not here")
            continue
        built = "" if engine["built_s"] is None else f"{engine['built_s']:.0f}"
        first = next((times["first_ms"] for times in engine["times"] if not times["why_not"]), None)
        table.add_row(
            engine["runs"],
            f"{engine['made_s']:.2f}",
            built,
            "" if first is None else f"{first:.0f}",
            engine["agrees"],
        )
    return table


def times_tables(report: Report) -> Iterator[Table]:
    """Yield, for each size, one row for every engine and batch."""
    caption = (
        "the network without anything around it; medians of rounds in which engines take turns. of limit: the "
        "roofline's time (for each layer the longer of arithmetic and memory traffic) as a part of the measured one, "
        f"by rates of this run: {_rates(report)}"
    )
    for side in report["options"]["sizes_px"]:
        table = _table(f"The network alone, frames of {side} x {side} px", caption)
        _columns(table, "engine", "batch", "ms/frame", "5-95 %", "ms/Mpx", "frames/s", "of limit")
        for engine in report["engines"]:
            for times in engine["times"]:
                if times["size_px"] == side and not times["why_not"]:
                    table.add_row(engine["runs"], str(times["batch"]), *_row(times))
        if table.row_count:
            yield table


def left_out(report: Report) -> Iterator[str]:
    """Yield a line for everything that was not measured, with its reason."""
    for engine in report["engines"]:
        if engine["why_not"]:
            yield f"{engine['engine']} cannot run here: {engine['why_not']}"
        for times in engine["times"]:
            if times["why_not"]:
                yield f"{engine['engine']}, {times['size_px']} px, batch {times['batch']}: {times['why_not']}"


def stages_table(report: Report) -> Table:
    """Return where the time of a frame goes."""
    serving, stages = report["serving"], report["stages_ms"]
    whole = sum(stage["median"] for stage in stages.values())
    side = serving["size_px"]
    table = _table(
        f"One frame of {side} x {side} px through the whole chain, {serving['runs']}",
        "one frame at a time, in one process; medians, and the range of 5 to 95 % of the frames",
    )
    _columns(table, "stage", "ms", "5-95 % ms", "share")
    for name, stage in stages.items():
        low, high = stage["p5_p95"]
        share = 100.0 * stage["median"] / whole
        table.add_row(name, f"{stage['median']:.2f}", f"{low:.2f} to {high:.2f}", f"{share:.1f} %")
    table.add_section()
    others = whole - stages[NETWORK]["median"]
    table.add_row("all", f"{whole:.2f}", "", "100 %")
    table.add_row("all but the network", f"{others:.2f}", "", f"{100.0 * others / whole:.1f} %")
    return table


def load_table(report: Report) -> Table:
    """Return what the real processes did."""
    load, flasks = report["load"], report["flasks_per_machine"]
    flat_out, half = load["flat_out"], load["half_load"]
    table = _table(
        "The real processes: queue server, ingester, segmenter, predictor, notifier",
        "latency: from the moment a file has its name to its first estimate in the queue; "
        f"{load['settle_s']} s of it are waiting whether the file is complete (watch.settle_s, 2 s by default). "
        f"Flasks: frames/s x {flasks['of_capacity']} x {flasks['interval_s']:.0f} s / {flasks['positions']} position, "
        "rounded down",
    )
    _columns(table, "what", "found")
    rows: list[tuple[str, str]] = [
        ("cold start: processes started to all ready", f"{load['ready_s']:.1f} s"),
        ("first frame after that", f"{load['first_frame_s']:.2f} s"),
        (f"flat out, a backlog of {flat_out['frames']} frames", f"{flat_out['frames_per_s']:.2f} frames/s"),
        (f"half of that, {half['frames']} frames offered", f"{half['rate_per_s']:.2f} frames/s"),
        ("latency at half load, median", f"{half['p50_s']:.2f} s"),
        ("latency at half load, 95 %", f"{half['p95_s']:.2f} s"),
        ("latency at half load, 99 %", f"{half['p99_s']:.2f} s"),
        ("frames given up or lost", str(sum(part[k] for part in (flat_out, half) for k in ("failed", "lost")))),
        ("flasks at one frame every 15 minutes", str(flasks["flasks"])),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def _rates(report: Report) -> str:
    said = (
        f"{rate['device']} {rate['dtype']} {rate['flops_per_s'] / 1e12:.3g} TFLOP/s and "
        f"{rate['bytes_per_s'] / 1e9:.3g} GB/s"
        for rate in report["rates"]
    )
    return "; ".join(said) or "none"


def _row(times: dict[str, Any]) -> list[str]:
    low, high = times["ms_per_frame"]["p5_p95"]
    return [
        _short(times["ms_per_frame"]["median"]),
        f"{_short(low)}-{_short(high)}",
        _short(times["ms_per_megapixel"]),
        _short(times["frames_per_s"]),
        "" if times["of_roofline"] is None else f"{100 * times['of_roofline']:.0f} %",
    ]


def _table(title: str, caption: str) -> Table:
    return Table(title=title, caption=caption, title_justify="left", caption_justify="left", box=SIMPLE_HEAD)


def _columns(table: Table, first: str, *others: str) -> None:
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
