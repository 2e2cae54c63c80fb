"""`cellvigil train segmenter`. Heavy imports wait inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from services.command_options import PixelSize, Weights


def train_segmenter_(
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, weights, card and curves; goes on if it is there.")],
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Images with label images beside them, or COCO files.")
    ] = None,
    stain_pairs: Annotated[
        Path | None, typer.Option(help="Images with their nuclear stain beside them (a.tif with a_dapi.tif).")
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="Image series to learn from what the weights are sure of; kept if it helps.")
    ] = None,
    pixel_size: PixelSize = None,
    weights: Weights = None,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Begin with a new network.")] = False,
    width: Annotated[float, typer.Option(help="Of a new network; 1 is the full one.")] = 0.5,
    hold_back: Annotated[
        str | None, typer.Option(help="Never train on images whose names hold one of these. [every sixth]")
    ] = None,
    simulated: Annotated[int, typer.Option(help="Simulated frames in the mix; they keep the nuclei alive.")] = 100,
    steps: Annotated[int | None, typer.Option(help="Of the whole schedule. [1000; 20000 from scratch]")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop this part after so long; run again to go on.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest. [0.0004; 0.0012 from scratch]")] = None,
    most: Annotated[int | None, typer.Option(help="At most so many images of each folder, by chance.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write scores before and after here.")] = None,
) -> None:
    """Fine-tune our weights on your labelled images (5 to 20 fields help) or stained ones, or train from scratch."""
    from monitor.network.checkpoint import SHIPPED
    from services.training.plan import TrainingPlan
    from services.training.segmenter import train_segmenter

    plan = TrainingPlan(
        folders=tuple(folders or ()),
        out=out,
        stain_pairs=stain_pairs,
        unlabelled=unlabelled,
        pixel_size_um=pixel_size,
        hold_back=tuple(hold_back.split(",")) if hold_back else None,
        weights=None if from_scratch else weights or SHIPPED,
        width=width,
        simulated=simulated,
        steps=steps,
        minutes=minutes,
        learning_rate=learning_rate,
        most=most,
        seed=seed,
    )
    raise typer.Exit(train_segmenter(plan, json))
