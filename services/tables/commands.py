"""`cellvigil features`. Heavy imports wait inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from services.command_options import Engine, EngineName, PixelSize, Weights


def features(
    images: Annotated[list[Path], typer.Argument(help="Grey TIFF or PNG files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the tables.")],
    labels: Annotated[
        Path | None, typer.Option(help="Folder of label images that `segment` wrote; default: segment now.")
    ] = None,
    pixel_size: PixelSize = None,
    samples: Annotated[Path | None, typer.Option(help="samples.csv: donor, passage, lot, medium and so on.")] = None,
    layout: Annotated[
        str | None, typer.Option(help="Preset or pattern that every name has to fit. [the default, where it fits]")
    ] = None,
    interval: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds between frames, where names only count.")
    ] = None,
    gate: Annotated[float, typer.Option(min=0.001, help="How far a cell may move between two frames, um.")] = 30.0,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write Parquet instead of CSV.")] = False,
    weights: Weights = None,
    engine: Engine = EngineName.EAGER,
) -> None:
    """Measure every cell, frame and flask: cells.csv, frames.csv, flasks.csv, and columns.csv that explains them."""
    from services.tables.measuring import TablePlan, write_tables

    plan = TablePlan(
        given=tuple(images),
        out=out,
        labels=labels,
        pixel_size_um=pixel_size,
        samples=samples,
        layout=layout,
        interval_s=interval,
        gate_um=gate,
        parquet=parquet,
        weights=weights,
        engine=engine.value,
    )
    raise typer.Exit(write_tables(plan))
