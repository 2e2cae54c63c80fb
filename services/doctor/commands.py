"""`cellvigil doctor`. Heavy imports wait inside the commands."""

from typing import Annotated

import typer

from services.command_options import Config, State, Watch, settings_from


def doctor(
    config: Config = None,
    state: State = None,
    watch: Watch = None,
    json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out what takes seconds: torch, engines, models.")
    ] = False,
) -> None:
    """Check this machine: Python, packages, engines, queue, folders, disk, clock; each line with its mend."""
    from services.doctor.report import diagnose, exit_code, render

    checks = diagnose(settings_from(config, state, watch, None, None), quick=quick)
    typer.echo(render(checks, as_json=json))
    raise typer.Exit(exit_code(checks))
