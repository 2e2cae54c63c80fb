"""The `cellvigil` command. Heavy imports wait inside the commands, so that `--help` answers at once."""

import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.alarms.commands import app as alarms_app
from services.assays.commands import app as assay_app
from services.dashboard.command import app as dashboard_app

app = typer.Typer(
    name="cellvigil",
    help="Watch living cells: segment every frame, estimate potency per flask, raise alarms in time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
layout_app = typer.Typer(help="How the microscope names its files.", no_args_is_help=True, rich_markup_mode=None)
server_app = typer.Typer(help="The queue server of a state folder.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(layout_app, name="layout")
app.add_typer(server_app, name="server")
evaluate_app = typer.Typer(help="Scores on labelled data.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(evaluate_app, name="evaluate")
train_app = typer.Typer(help="Models from your own data.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(train_app, name="train")
engine_app = typer.Typer(help="What runs the network here.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(engine_app, name="engine")
app.add_typer(assay_app, name="assay")
app.add_typer(alarms_app, name="alarms")
app.add_typer(dashboard_app, name="dashboard")


class EngineName(StrEnum):
    """Engines to choose from; a test holds them against `monitor.engine.choice.ENGINES`."""

    EAGER = "eager"
    COMPILED = "compiled"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"
    OPENVINO_BF16 = "openvino-bf16"
    OPENVINO_INT8 = "openvino-int8"


Config = Annotated[Path | None, typer.Option("--config", help="YAML file with settings; see configs/default.yaml.")]
State = Annotated[Path | None, typer.Option("--state", help="Folder that holds everything a run keeps. [state]")]
Weights = Annotated[Path | None, typer.Option("--weights", help="Other weights: a model card, or `laboratories`.")]
Tta = Annotated[bool, typer.Option("--tta", help="Average over eight mirrored and turned copies; eight times as long.")]
Engine = Annotated[EngineName, typer.Option("--engine", help="What runs the network.")]
Threads = Annotated[int | None, typer.Option("--threads", help="Of the processor; default: torch's own count.")]
Watch = Annotated[Path | None, typer.Option("--watch", help="Folder that the microscope writes to.")]
PixelSize = Annotated[
    float | None, typer.Option("--pixel-size", min=0.01, max=50.0, help="Micrometres per pixel, where files lack it.")
]


@app.command()
def run(
    watch: Watch = None,
    config: Config = None,
    state: State = None,
    pixel_size: PixelSize = None,
    layout: Annotated[str | None, typer.Option(help="Preset or pattern of the file names.")] = None,
    until_idle: Annotated[float | None, typer.Option(help="Finish and return after this many quiet seconds.")] = None,
    page: Annotated[
        bool | None, typer.Option("--page/--no-page", help="Serve the operator's page too. [dashboard.enabled]")
    ] = None,
) -> None:
    """Watch a folder and do everything: ingest, segment, estimate, alarm. Stop with Ctrl-C."""
    from services.chain.console import show_run

    settings = _settings(config, state, watch, pixel_size, layout)
    if page is not None:
        own = settings.dashboard.model_copy(update={"enabled": page})
        settings = settings.model_copy(update={"dashboard": own})
    raise typer.Exit(show_run(settings, until_idle_s=until_idle))


@app.command()
def demo(
    json: Annotated[Path | None, typer.Option(help="Write the summary here and draw no table.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Keep frames and results here, for a look afterwards.")] = None,
    seed: Annotated[int, typer.Option(help="Of the simulated cultures.")] = 7,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Serve the operator's page meanwhile.")] = True,
    stay: Annotated[bool, typer.Option("--stay", help="Go on after the play, until Ctrl-C, to look around.")] = False,
) -> None:
    """Play four simulated flasks through the whole chain: three get into trouble, one does not."""
    from services.chain.demo import show_demo

    raise typer.Exit(show_demo(json, folder, seed, page=page, stay=stay))


@app.command()
def results(
    csv: Annotated[Path, typer.Option(help="File to write; - for the terminal.")],
    state: State = None,
) -> None:
    """Write one row per frame: what it was, what became of it, cells, confluency, potency with interval."""
    from services.chain.console import write_results

    write_results(_state_folder(state), csv)


@app.command()
def status(state: State = None) -> None:
    """Show every flask of a state folder, the workers that are alive, and the alarms that stand."""
    from services.chain.console import show_status

    raise typer.Exit(show_status(_state_folder(state)))


@app.command()
def overlay(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    state: State = None,
    flask: Annotated[str | None, typer.Option(help="Only this flask.")] = None,
    every: Annotated[int, typer.Option(help="Every n-th frame of a position.")] = 1,
) -> None:
    """Draw the outlines of cells and nuclei on the frames that were segmented, as PNG files."""
    from services.chain.console import write_overlays

    raise typer.Exit(write_overlays(_state_folder(state), out, flask, every))


@app.command()
def replay(
    folder: Annotated[Path | None, typer.Argument(help="Existing series of images.")] = None,
    rate: Annotated[float, typer.Option(help="Frames per second.")] = 1.0,
    into: Annotated[Path, typer.Option(help="Watched folder to play into.")] = Path("frames"),
    pattern: Annotated[str, typer.Option(help="Which files, such as '*t*.png'.")] = "**/*",
    flask: Annotated[str | None, typer.Option(help="Name frames as this flask; default: keep names that fit.")] = None,
    position: Annotated[str, typer.Option(help="Position to name frames as.")] = "p1",
    interval: Annotated[float, typer.Option(help="Seconds between frames in the new names.")] = 900.0,
    rows: Annotated[
        bool, typer.Option("--rows", help="Play no images: recompute the alarms of --state from its stored rows.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="With --rows: other settings; default: those in force.")] = None,
    state: State = None,
    log: Annotated[Path | None, typer.Option(help="With --rows: write the recomputed alarm log here.")] = None,
    json: Annotated[bool, typer.Option("--json", help="With --rows: print the difference for programs.")] = False,
) -> None:
    """Play a series as a microscope would, or with --rows say what would have alarmed under other settings."""
    if rows:
        from services.alarms.rerun import replay_rows

        raise typer.Exit(replay_rows(_state_folder(state), config, flask, log, as_json=json))
    if folder is None:
        raise typer.BadParameter("name a folder of images, or --rows for the stored rows of --state")
    from services.chain.replay import replay_folder

    played = replay_folder(
        folder, into, rate=rate, pattern=pattern, flask=flask, position=position, interval_s=interval
    )
    typer.echo(f"{played} frames played into {into}")


@app.command()
def worker(
    name: Annotated[str, typer.Argument(help="ingester, segmenter, predictor, notifier or dashboard.")],
    config: Config = None,
    state: State = None,
    watch: Watch = None,
    pixel_size: PixelSize = None,
    replica: Annotated[
        int, typer.Option(help="Number among processes of its kind; predictors share flasks by it.")
    ] = 0,
    drain: Annotated[bool, typer.Option("--drain", help="Return when there is nothing left to do.")] = False,
    until_idle: Annotated[float | None, typer.Option(help="Ingester: return after this many quiet seconds.")] = None,
    follow: Annotated[bool, typer.Option("--follow", hidden=True)] = False,
) -> None:
    """Run one worker alone, for containers."""
    settings = _settings(config, state, watch, pixel_size, None)
    from services.chain.assembly import run_worker
    from services.telemetry import configure_logging
    from services.transport.signals import follow_parent, install_signals

    configure_logging(settings.state / "logs", f"{name}-{replica}", terminal=not follow)
    stop = threading.Event()
    install_signals(stop)
    if follow:
        follow_parent()
    code = run_worker(name, settings, stop, drain=drain, replica=replica, until_idle_s=until_idle)
    raise typer.Exit(code)


@app.command()
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
    from services.chain.console import show_doctor

    raise typer.Exit(show_doctor(_settings(config, state, watch, None, None), as_json=json, quick=quick))


@app.command()
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
    from services.bench.command import bench as measure
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
    raise typer.Exit(measure(plan, _engine_folder(state), json_file=json, plot_file=plot))


@app.command()
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


@app.command()
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
    from services.tables.command import Plan, write_tables

    plan = Plan(
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


@evaluate_app.command("segmenter")
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
    from services.segmentation.files import evaluate_segmenter

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


@train_app.command("segmenter")
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
    from services.training.command import train_segmenter
    from services.training.plan import Plan

    plan = Plan(
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


@train_app.command("reference")
def train_reference_(
    out: Annotated[Path, typer.Option(help="File to write; name it in culture.reference.")],
    state: Annotated[list[Path], typer.Option(help="State folder with good runs; give it several times for more.")],
    flask: Annotated[
        list[str] | None, typer.Option(help="A good run; several times. [every flask without such alarms]")
    ] = None,
    bin_h: Annotated[float, typer.Option("--hours", min=0.1, help="Width of a time bin.")] = 2.0,
) -> None:
    """Gather how past good runs looked, hour by hour, for the morphology alarm."""
    from services.alarms.reference_file import write_reference

    raise typer.Exit(write_reference(state, out, flask or (), bin_h))


@train_app.command("potency")
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


@app.command()
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


@app.command()
def explain(
    state: State = None,
    frame: Annotated[str | None, typer.Option(help="Beginning of a frame's id. [the latest assessed one]")] = None,
    flask: Annotated[str | None, typer.Option(help="Only frames of this flask.")] = None,
    out: Annotated[Path | None, typer.Option(help="Draw the cells that carry it here, as PNG.")] = None,
    top: Annotated[int, typer.Option(help="How many features.")] = 3,
) -> None:
    """Say which features moved the potency of a frame, and draw the cells that carry it."""
    from services.potency.explanation import explain_command

    raise typer.Exit(explain_command(_state_folder(state), frame, flask, out, top))


@app.command()
def forecast(
    state: State = None,
    flask: Annotated[str | None, typer.Option(help="Only this flask.")] = None,
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="Print for programs.")] = False,
) -> None:
    """Say when potency will cross its floor and when a flask will be confluent, if it goes on as it went."""
    from services.alarms.forecasting import show_forecasts

    raise typer.Exit(show_forecasts(_state_folder(state), flask, config, as_json=json))


@layout_app.command("check")
def layout_check(
    folder: Annotated[Path, typer.Argument(help="Folder to look through.")],
    layout: Annotated[str, typer.Option(help="Preset or pattern.")] = "flask-position-time",
    json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """Print what each file name says, and the files that say nothing, before any run."""
    from services.chain.console import show_layout

    raise typer.Exit(show_layout(folder, layout, as_json=json))


@server_app.command("start")
def server_start(state: State = None, config: Config = None) -> None:
    """Start the queue server of a state folder, or find the one that runs; it outlives this command."""
    from services.transport.server import ensure_server

    settings = _settings(config, state, None, None, None)
    handle = ensure_server(settings.state, settings.server)
    typer.echo(f"{handle.url}  version {handle.version}  process {handle.pid}")


@server_app.command("stop")
def server_stop(state: State = None) -> None:
    """Stop the queue server of a state folder; what is queued stays on the disk."""
    from services.transport.server import stop_server

    typer.echo("stopped" if stop_server(_state_folder(state)) else "no server was running")


@server_app.command("status")
def server_status_(state: State = None) -> None:
    """Say whether the queue server of a state folder runs; exit code 1 when not."""
    from services.transport.server import server_status

    handle = server_status(_state_folder(state))
    typer.echo(f"{handle.url}  version {handle.version}  process {handle.pid}" if handle else "not running")
    raise typer.Exit(0 if handle else 1)


@engine_app.command("list")
def engine_list(state: State = None) -> None:
    """Show what `auto` would try on this machine, and the engines that were built for a state folder."""
    from services.segmentation.engines import list_engines

    raise typer.Exit(list_engines(_engine_store(state)))


@engine_app.command("check")
def engine_check(
    name: Annotated[EngineName | None, typer.Argument(help="One engine; default: all.")] = None,
    state: State = None,
    weights: Weights = None,
    threads: Threads = None,
) -> None:
    """Hold engines against eager on the shipped frames: only one that agrees may serve."""
    from services.segmentation.engines import check_engines

    raise typer.Exit(check_engines(name.value if name else "auto", weights, _engine_store(state), threads))


@engine_app.command("build")
def engine_build(
    name: Annotated[EngineName, typer.Argument(help="Which engine.")],
    state: State = None,
    weights: Weights = None,
    threads: Threads = None,
) -> None:
    """Build an engine for this machine and a state folder, and check it; `run` takes it from there."""
    from services.segmentation.engines import build_engine

    raise typer.Exit(build_engine(name.value, weights, _engine_store(state), threads))


@app.command()
def version() -> None:
    """Print the version."""
    from monitor import __version__

    typer.echo(__version__)


def _engine_store(state: Path | None) -> Any:  # noqa: ANN401 (EngineStore, whose import is heavy)
    from monitor.engine.store import EngineStore

    return EngineStore(_engine_folder(state))


def _engine_folder(state: Path | None) -> Path:
    from services.state_folder import StateFolder

    return StateFolder(_state_folder(state)).engines


def _state_folder(state: Path | None) -> Path:
    return state or Path("state")


def _settings(
    config: Path | None, state: Path | None, watch: Path | None, pixel_size: float | None, layout: str | None
) -> Any:  # noqa: ANN401 (Settings, whose import is heavy)
    from services.settings import load_settings

    given: dict[str, Any] = {"folder": watch, "pixel_size_um": pixel_size, "layout": layout}
    overrides: dict[str, Any] = {"watch": {name: value for name, value in given.items() if value is not None}}
    if state is not None:
        overrides["state"] = state
    return load_settings(config, overrides)


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
