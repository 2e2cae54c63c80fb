"""The `cellvigil` command: every room's commands under their names."""

import sys
from collections.abc import Callable

import typer

from services.alarms.commands import app as alarms_app
from services.alarms.commands import forecast, train_reference_
from services.assays.commands import app as assay_app
from services.bench.commands import bench
from services.chain.commands import demo, overlay, replay, results, run, status, worker
from services.dashboard.commands import app as dashboard_app
from services.doctor.commands import doctor
from services.ingest.commands import layout_check
from services.potency.commands import explain, predict, train_potency_
from services.segmentation.commands import engine_build, engine_check, engine_list, evaluate_segmenter_, segment
from services.tables.commands import features
from services.training.commands import train_segmenter_
from services.transport.commands import server_start, server_status_, server_stop


def version() -> None:
    """Print the version."""
    from monitor import __version__

    typer.echo(__version__)


GROUPS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    "layout": ("How the microscope names its files.", {"check": layout_check}),
    "server": (
        "The queue server of a state folder.",
        {"start": server_start, "stop": server_stop, "status": server_status_},
    ),
    "evaluate": ("Scores on labelled data.", {"segmenter": evaluate_segmenter_}),
    "train": (
        "Models from your own data.",
        {"segmenter": train_segmenter_, "reference": train_reference_, "potency": train_potency_},
    ),
    "engine": (
        "What runs the network here.",
        {"list": engine_list, "check": engine_check, "build": engine_build},
    ),
}

app = typer.Typer(
    name="cellvigil",
    help="Watch living cells: segment every frame, estimate potency per flask, raise alarms in time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    *(run, demo, results, status, overlay, replay, worker, doctor, bench, segment),
    *(features, predict, explain, forecast, version),
):
    app.command()(command)
for group, (about, commands) in GROUPS.items():
    group_app = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
    for name, function in commands.items():
        group_app.command(name)(function)
    app.add_typer(group_app, name=group)
for name, its_app in {"assay": assay_app, "alarms": alarms_app, "dashboard": dashboard_app}.items():
    app.add_typer(its_app, name=name)


def main() -> None:
    """Run the command; a deliberate error is a sentence on the terminal and exit code 2, never a traceback."""
    from monitor.errors import CellvigilError

    try:
        app()
    except CellvigilError as error:
        typer.echo(f"cellvigil: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
