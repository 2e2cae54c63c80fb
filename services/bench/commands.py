"""`cellvigil bench`. Heavy imports wait inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from services.command_options import State, Threads, Weights, engine_folder


def bench(
    engines: Annotated[
        str | None,
        typer.Option(help="Names with commas between, built where needed. [all that need no building]"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Build every engine that can be built; minutes each.")] = False,
    sizes: Annotated[
        str | None, typer.Option(help="Sides of square frames, px; stages and load take the first. [1024,2048]")
    ] = None,
    batches: Annotated[str | None, typer.Option(help="Frames at once, on a GPU. [1,2,4,8,16]")] = None,
    rounds: Annotated[int | None, typer.Option(help="Repeats of every time. [10]")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer sizes, batches and repeats, a short load.")] = False,
    load: Annotated[bool, typer.Option("--load/--no-load", help="Run the real processes under load too.")] = True,
    minutes: Annotated[float | None, typer.Option(help="Begin no time of an engine after so long.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the report here, as PNG.")] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Measure nothing; lay two reports side by side.")
    ] = None,
    state: State = None,
    weights: Weights = None,
    threads: Threads = None,
    pixel_size: Annotated[float | None, typer.Option(help="Of the simulated frames. [the network's own]")] = None,
) -> None:
    """Measure this machine: engines, stages, latency under load, and how many flasks it keeps up with."""
    if compare is not None:
        from rich.console import Console

        from services.bench.compare import show_comparison

        raise typer.Exit(show_comparison(*compare, Console()))
    from services.bench.measuring import bench as measure
    from services.bench.plan import make_plan

    plan = make_plan(
        engines=engines,
        every=every,
        sizes=sizes,
        batches=batches,
        rounds=rounds,
        quick=quick,
        load=load,
        minutes=minutes,
        threads=threads,
        weights=weights,
        pixel_size_um=pixel_size,
    )
    raise typer.Exit(measure(plan, engine_folder(state), json_file=json, plot_file=plot))
