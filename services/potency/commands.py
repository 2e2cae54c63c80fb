"""`cellvigil train potency`, `predict`, `explain`. Heavy imports wait inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from services.command_options import State, state_folder


def train_potency_(
    table: Annotated[Path, typer.Argument(help="Features: CSV or Parquet, a row per frame, flask or cell.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    assay: Annotated[
        Path | None, typer.Option(help="Results, joined by the columns it shares with the table (flask, donor, lot).")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Biomarkers, comma between: of --assay, or of the table.")] = None,
    features: Annotated[str | None, typer.Option(help="Columns to learn from, comma between. [all measured]")] = None,
    group: Annotated[
        str | None, typer.Option(help="Column of what is held out together: donor, lot or passage.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="regressor or classifier. [two values: classifier]")] = None,
    index: Annotated[
        str | None, typer.Option(help="Potency index: weights of biomarkers, as in IDO=0.5,PGE2=0.5.")
    ] = None,
    reference: Annotated[str | None, typer.Option(help="Lot that is 100 % of the index.")] = None,
    samples: Annotated[Path | None, typer.Option(help="Sample list with stimulation, passage, seeding.")] = None,
    coverage: Annotated[float, typer.Option(help="Of intervals.")] = 0.9,
    false_alarm: Annotated[float, typer.Option(help="Share of rows of the same kind refused as unfamiliar.")] = 0.05,
    adjust_density: Annotated[
        bool, typer.Option("--adjust-density", help="Publish the model without what crowding does to the features.")
    ] = False,
    min_cells: Annotated[int, typer.Option(min=0, help="Rows with fewer cells are not assessable.")] = 0,
    min_fields: Annotated[int, typer.Option(min=0, help="Flasks with fewer fields of view are not assessable.")] = 0,
    drop_incomplete: Annotated[
        bool, typer.Option("--drop-incomplete", help="Leave rows out where a feature is empty.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Publish what is no better than the mean.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Remove the model that lies in --out.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Of the processor.")] = 2,
    json: Annotated[Path | None, typer.Option(help="Write the report here.")] = None,
) -> None:
    """Learn biomarkers from features and your assay results, judged on groups that were held out."""
    from monitor.potency.train import TrainingPlan
    from services.potency.gathering import Question
    from services.potency.options import check_kind, check_range, names_of, weights_of
    from services.potency.training import train_potency_command

    question = Question(
        table=table,
        assay=assay,
        samples=samples,
        targets=names_of(target),
        features=names_of(features),
        group=group,
        kind=check_kind(kind),
        index=weights_of(index),
        reference=reference,
        drop_incomplete=drop_incomplete,
    )
    plan = TrainingPlan(
        coverage=check_range("--coverage", coverage),
        false_alarm=check_range("--false-alarm", false_alarm),
        adjust=adjust_density,
        force=force,
        min_cells=min_cells,
        min_fields=min_fields,
        threads=threads,
    )
    raise typer.Exit(train_potency_command(question, out, plan, json, replace))


def predict(
    bundle: Annotated[Path, typer.Argument(help="Model folder that `cellvigil train potency` wrote.")],
    table: Annotated[Path, typer.Argument(help="Features: CSV or Parquet, with the columns of the training.")],
    out: Annotated[Path, typer.Option(help="CSV file to write: a row for every row, in order.")],
    samples: Annotated[Path | None, typer.Option(help="Sample list with stimulation, passage, seeding.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say which features moved each estimate.")] = False,
) -> None:
    """Estimate biomarkers for a table of features; a row that the model cannot judge says why."""
    from services.potency.prediction import predict_command

    raise typer.Exit(predict_command(bundle, table, out, samples, explained=explain))


def explain(
    state: State = None,
    frame: Annotated[str | None, typer.Option(help="Beginning of a frame's id. [the latest assessed one]")] = None,
    flask: Annotated[str | None, typer.Option(help="Only frames of this flask.")] = None,
    out: Annotated[Path | None, typer.Option(help="Draw the cells that carry it here, as PNG.")] = None,
    top: Annotated[int, typer.Option(help="How many features.")] = 3,
) -> None:
    """Say which features moved the potency of a frame, and draw the cells that carry it."""
    from services.potency.explanation import explain_command

    raise typer.Exit(explain_command(state_folder(state), frame, flask, out, top))
