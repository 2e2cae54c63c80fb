"""`cellvigil server ...`. Heavy imports wait inside the commands."""

import typer

from services.command_options import Config, State, settings_from, state_folder


def server_start(state: State = None, config: Config = None) -> None:
    """Start the queue server of a state folder, or find the one that runs; it outlives this command."""
    from services.transport.server import ensure_server

    settings = settings_from(config, state, None, None, None)
    handle = ensure_server(settings.state, settings.server)
    typer.echo(f"{handle.url}  version {handle.version}  process {handle.pid}")


def server_stop(state: State = None) -> None:
    """Stop the queue server of a state folder; what is queued stays on the disk."""
    from services.transport.server import stop_server

    typer.echo("stopped" if stop_server(state_folder(state)) else "no server was running")


def server_status_(state: State = None) -> None:
    """Say whether the queue server of a state folder runs; exit code 1 when not."""
    from services.transport.server import server_status

    handle = server_status(state_folder(state))
    typer.echo(f"{handle.url}  version {handle.version}  process {handle.pid}" if handle else "not running")
    raise typer.Exit(0 if handle else 1)
