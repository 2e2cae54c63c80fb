"""The words of `cellvigil assay`; everything heavy waits inside."""

from pathlib import Path
from typing import Annotated

import typer

from services.command_options import State, state_folder

app = typer.Typer(
    help="Later results of the laboratory, held against the estimates that foretold them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

States = Annotated[
    list[Path] | None,
    typer.Option("--state", help="State folder; may be given several times. [state]"),
]
By = Annotated[str | None, typer.Option("--by", help="Who says so. [who is logged in]")]


@app.command()
def add(
    state: State = None,
    flask: Annotated[str | None, typer.Option(help="As it is called in the watched folder.")] = None,
    biomarker: Annotated[str | None, typer.Option(help="As the model calls it; with --from, only this one.")] = None,
    value: Annotated[str | None, typer.Option(help="What was measured, in the unit of the model.")] = None,
    units: Annotated[str | None, typer.Option(help="Unit of the value, to be held against the model's.")] = None,
    at: Annotated[
        str | None, typer.Option(help="When the sample was taken: 2026-03-10T12:00Z. [when the flask was last seen]")
    ] = None,
    by: By = None,
    comment: Annotated[str, typer.Option(help="Anything worth keeping.")] = "",
    file: Annotated[
        Path | None, typer.Option("--from", help="Results as for `train potency --assay`, with a column flask.")
    ] = None,
    correct: Annotated[
        str | None, typer.Option(help="Reason why a result that differs takes the place of the recorded one.")
    ] = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave aside flasks and biomarkers that are unknown here.")
    ] = False,
    within: Annotated[float, typer.Option(min=0.01, help="Hours that the newest frame may be older.")] = 24.0,
    model: Annotated[
        list[Path] | None, typer.Option(help="Model that judged the frames, where it is not the configured one.")
    ] = None,
) -> None:
    """Record results of flasks and link each to the frames and the model that foretold it; twice told counts once."""
    from datetime import timedelta

    from services.assays.adding import Options, add_command
    from services.assays.entry import entries_of, entry_of

    options = Options(tuple(model or ()), timedelta(hours=within), correct, skip_unknown)
    if file is not None:
        if flask is not None or value is not None or at is not None or units is not None:
            raise typer.BadParameter("--from names flasks, values, units and times itself; leave the options away")
        told = entries_of(file, by, comment)
        entries = [entry for entry in told.entries if biomarker is None or entry.biomarker == biomarker]
        raise typer.Exit(add_command(state_folder(state), entries, options, told.notes))
    if flask is None or biomarker is None or value is None:
        raise typer.BadParameter("give --flask, --biomarker and --value, or a file of results with --from")
    entry = entry_of(flask, biomarker, value, units, at, by, comment)
    raise typer.Exit(add_command(state_folder(state), [entry], options))


@app.command()
def withdraw(
    result: Annotated[str, typer.Argument(help="Beginning of the result's id, as `assay list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why it counts no longer.")],
    state: State = None,
    by: By = None,
) -> None:
    """Let a result count no longer; it stays in the record with who, when and why."""
    from services.assays.adding import withdraw_command
    from services.assays.entry import whoever

    raise typer.Exit(withdraw_command(state_folder(state), result, by or whoever(), reason))


@app.command("list")
def list_(
    state: State = None,
    flask: Annotated[str | None, typer.Option(help="Only this flask.")] = None,
    every: Annotated[bool, typer.Option("--all", help="With what was corrected or withdrawn.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print everything that is recorded, for programs.")] = False,
) -> None:
    """Show the results that count, each beside its estimate."""
    from services.assays.listing import list_command

    raise typer.Exit(list_command(state_folder(state), flask, every=every, as_json=json))


@app.command()
def report(
    state: States = None,
    last: Annotated[int, typer.Option(min=10, help="Results in the rolling coverage.")] = 30,
    json: Annotated[Path | None, typer.Option(help="Write the report here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it here, as PNG.")] = None,
) -> None:
    """Say how estimates agree with later results: coverage, bias and slope of each biomarker, with their ranges."""
    from services.assays.reporting import report_command

    raise typer.Exit(report_command(state or [state_folder(None)], last, json, plot))


@app.command()
def recalibrate(
    bundle: Annotated[Path, typer.Argument(help="Model folder; it stays as it is.")],
    out: Annotated[Path, typer.Option(help="Folder for the new version.")],
    signed_by: Annotated[str, typer.Option(help="Who stands for it.")],
    reason: Annotated[str, typer.Option(help="Why there is a new version.")],
    state: States = None,
    biomarker: Annotated[str | None, typer.Option(help="Only this one. [all with enough results]")] = None,
    json: Annotated[Path | None, typer.Option(help="Write before and after here.")] = None,
) -> None:
    """Write a new version of a model whose intervals follow later results, if left-out flasks bear it out."""
    from services.assays.renewing import recalibrate_command

    raise typer.Exit(
        recalibrate_command(bundle, out, state or [state_folder(None)], signed_by, reason, biomarker, json)
    )
