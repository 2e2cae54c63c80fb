"""`cellvigil layout check`. Heavy imports wait inside the commands."""

from pathlib import Path
from typing import Annotated

import typer


def layout_check(
    folder: Annotated[Path, typer.Argument(help="Folder to look through.")],
    layout: Annotated[str, typer.Option(help="Preset or pattern.")] = "flask-position-time",
    json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """Print what each file name says, and the files that say nothing, before any run."""
    from services.ingest.layout_report import show_layout

    raise typer.Exit(show_layout(folder, layout, as_json=json))
