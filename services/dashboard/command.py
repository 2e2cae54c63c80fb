"""`cellvigil dashboard ...`: the operator's page, and who may use it. Heavy imports wait inside the commands."""

import threading
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="The operator's page in the browser, and who may use it.", no_args_is_help=False, rich_markup_mode=None
)

State = Annotated[Path | None, typer.Option("--state", help="Folder that holds everything a run keeps. [state]")]
Config = Annotated[Path | None, typer.Option("--config", help="YAML file with settings; see configs/default.yaml.")]


@app.callback(invoke_without_command=True)
def dashboard(
    context: typer.Context,
    state: State = None,
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes any that is free. [8765]")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser of this machine.")] = False,
) -> None:
    """Serve the operator's page of a state folder until Ctrl-C."""
    if context.invoked_subcommand is not None:
        return
    from services.dashboard.serve import serve
    from services.transport.runner import install_signals

    settings = _settings(config, state, {"host": host, "port": port})
    stop = threading.Event()
    install_signals(stop)

    def listening(url: str) -> None:
        typer.echo(f"the page of {settings.state} is at {url} (Ctrl-C ends it)")
        if open_:
            import webbrowser

            webbrowser.open(url)

    raise typer.Exit(serve(settings, stop, listening))


def _settings(config: Path | None, state: Path | None, own: dict[str, Any]) -> Any:  # noqa: ANN401 (Settings, whose import is heavy)
    from services.settings import load_settings

    overrides: dict[str, Any] = {"dashboard": {name: value for name, value in own.items() if value is not None}}
    if state is not None:
        overrides["state"] = state
    return load_settings(config, overrides)
