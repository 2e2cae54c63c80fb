"""`cellvigil run`, `demo`, `results`, `status`, `overlay`, `replay`, `worker`; heavy imports wait inside."""

import threading
from pathlib import Path
from typing import Annotated

import typer

from services.command_options import Config, PixelSize, State, Watch, settings_from, state_folder


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

    settings = settings_from(config, state, watch, pixel_size, layout)
    if page is not None:
        own = settings.dashboard.model_copy(update={"enabled": page})
        settings = settings.model_copy(update={"dashboard": own})
    raise typer.Exit(show_run(settings, until_idle_s=until_idle))


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


def results(
    csv: Annotated[Path, typer.Option(help="File to write; - for the terminal.")],
    state: State = None,
) -> None:
    """Write one row per frame: what it was, what became of it, cells, confluency, potency with interval."""
    from services.chain.console import write_results

    write_results(state_folder(state), csv)


def status(state: State = None) -> None:
    """Show every flask of a state folder, the workers that are alive, and the alarms that stand."""
    from services.chain.console import show_status

    raise typer.Exit(show_status(state_folder(state)))


def overlay(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    state: State = None,
    flask: Annotated[str | None, typer.Option(help="Only this flask.")] = None,
    every: Annotated[int, typer.Option(help="Every n-th frame of a position.")] = 1,
) -> None:
    """Draw the outlines of cells and nuclei on the frames that were segmented, as PNG files."""
    from services.chain.console import write_overlays

    raise typer.Exit(write_overlays(state_folder(state), out, flask, every))


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

        raise typer.Exit(replay_rows(state_folder(state), config, flask, log, as_json=json))
    if folder is None:
        raise typer.BadParameter("name a folder of images, or --rows for the stored rows of --state")
    from services.chain.replay import replay_folder

    played = replay_folder(
        folder, into, rate=rate, pattern=pattern, flask=flask, position=position, interval_s=interval
    )
    typer.echo(f"{played} frames played into {into}")


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
    settings = settings_from(config, state, watch, pixel_size, None)
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
