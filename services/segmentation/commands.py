"""`cellvigil segment`, `evaluate segmenter` and `engine ...`. Heavy imports wait inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from services.command_options import Engine, EngineName, PixelSize, State, Threads, Tta, Weights, engine_store


def segment(
    images: Annotated[list[Path], typer.Argument(help="Grey TIFF or PNG files.")],
    out: Annotated[Path, typer.Option(help="Folder for the label images.")],
    pixel_size: PixelSize = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Draw the outlines as PNG files too.")] = False,
    stain: Annotated[
        bool, typer.Option("--stain", help="Write virtual nucleus and cytoplasm channels as OME-TIFF too.")
    ] = False,
    tta: Tta = False,
    weights: Weights = None,
    engine: Engine = EngineName.EAGER,
) -> None:
    """Outline cells and nuclei on single images: <stem>_cells.tif and <stem>_nuclei.tif, 0 is background."""
    from services.segmentation.files import Outputs, segment_files

    outputs = Outputs(overlay, stain)
    code = segment_files(
        images, out, pixel_size_um=pixel_size, outputs=outputs, tta=tta, weights=weights, engine=engine.value
    )
    raise typer.Exit(code)


def evaluate_segmenter_(
    folder: Annotated[Path, typer.Argument(help="Images with label images beside them, or a COCO file.")],
    pixel_size: PixelSize = None,
    only: Annotated[str | None, typer.Option(help="Only images whose names hold one of these, comma between.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the scores here.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Draw the four worst fields here, as PNG.")] = None,
    tta: Tta = False,
    weights: Weights = None,
    engine: Engine = EngineName.EAGER,
) -> None:
    """Score the segmenter on labelled images: AP50, AP75, F1, counts, areas, nuclei; a row per field."""
    from services.segmentation.evaluation import evaluate_segmenter

    parts = only.split(",") if only else [""]
    code = evaluate_segmenter(
        folder,
        pixel_size_um=pixel_size,
        weights=weights,
        tta=tta,
        engine=engine.value,
        only=lambda name: any(part in name for part in parts),
        json_file=json,
        sheet=sheet,
    )
    raise typer.Exit(code)


def engine_list(state: State = None) -> None:
    """Show what `auto` would try on this machine, and the engines that were built for a state folder."""
    from services.segmentation.engines import list_engines

    raise typer.Exit(list_engines(engine_store(state)))


def engine_check(
    name: Annotated[EngineName | None, typer.Argument(help="One engine; default: all.")] = None,
    state: State = None,
    weights: Weights = None,
    threads: Threads = None,
) -> None:
    """Hold engines against eager on the shipped frames: only one that agrees may serve."""
    from services.segmentation.engines import check_engines

    raise typer.Exit(check_engines(name.value if name else "auto", weights, engine_store(state), threads))


def engine_build(
    name: Annotated[EngineName, typer.Argument(help="Which engine.")],
    state: State = None,
    weights: Weights = None,
    threads: Threads = None,
) -> None:
    """Build an engine for this machine and a state folder, and check it; `run` takes it from there."""
    from services.segmentation.engines import build_engine

    raise typer.Exit(build_engine(name.value, weights, engine_store(state), threads))
