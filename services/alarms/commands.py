"""`cellvigil alarms ...`: what stands, and what an operator does about it. Heavy imports wait inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from services.command_options import Config, State, state_folder

app = typer.Typer(help="What stands, and what you do about it.", no_args_is_help=True, rich_markup_mode=None)

Flask = Annotated[str, typer.Argument(help="Name of the flask.")]
OneChannel = Annotated[str | None, typer.Argument(help="Channel of the alarm; default: the one that stands.")]
By = Annotated[str | None, typer.Option("--by", help="Who you are. [your login]")]
Why = Annotated[str, typer.Option("--why", help="Reason; it is kept in the audit log.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print for programs.")]


@app.command("list")
def alarms_list(
    state: State = None,
    flask: Annotated[str | None, typer.Option(help="Only this flask.")] = None,
    suppressed: Annotated[bool, typer.Option("--suppressed", help="Those that cannot be judged, too.")] = False,
    json: AsJson = False,
) -> None:
    """Show every alarm that is not normal, unseen and urgent ones first; exit code 1 when one is unseen."""
    from services.alarms.listing import list_alarms

    raise typer.Exit(list_alarms(state_folder(state), flask, suppressed=suppressed, as_json=json))


@app.command("explain")
def alarms_explain(flask: Flask, channel: OneChannel = None, state: State = None, json: AsJson = False) -> None:
    """Say what an alarm is about: since when, how sure, likely cause, what follows, what to do, by when."""
    from services.alarms.explanation import explain_alarm

    raise typer.Exit(explain_alarm(state_folder(state), flask, channel, as_json=json))


@app.command("ack")
def alarms_ack(flask: Flask, channel: OneChannel = None, by: By = None, why: Why = "", state: State = None) -> None:
    """Say that you know of an alarm and see to it."""
    _act("acknowledge", flask, channel, by, why, state)


@app.command("shelve")
def alarms_shelve(
    flask: Flask,
    channel: OneChannel = None,
    hours: Annotated[float, typer.Option("--hours", min=0.01, max=168.0, help="For so long.")] = 4.0,
    by: By = None,
    why: Why = "",
    state: State = None,
) -> None:
    """Put an alarm aside for some hours; what came meanwhile is told afterwards."""
    _act("shelve", flask, channel, by, why, state, hours)


@app.command("unshelve")
def alarms_unshelve(
    flask: Flask, channel: OneChannel = None, by: By = None, why: Why = "", state: State = None
) -> None:
    """Take an alarm back from the shelf."""
    _act("unshelve", flask, channel, by, why, state)


@app.command("out-of-service")
def alarms_out(flask: Flask, channel: OneChannel = None, by: By = None, why: Why = "", state: State = None) -> None:
    """Take an alarm out of service until you bring it back."""
    _act("out_of_service", flask, channel, by, why, state)


@app.command("in-service")
def alarms_in(flask: Flask, channel: OneChannel = None, by: By = None, why: Why = "", state: State = None) -> None:
    """Bring an alarm back into service."""
    _act("in_service", flask, channel, by, why, state)


@app.command("silence")
def alarms_silence(
    flasks: Annotated[str, typer.Argument(help="Name, or a pattern such as 'A*'.")],
    channel: Annotated[str | None, typer.Argument(help="Only this channel.")] = None,
    hours: Annotated[float, typer.Option("--hours", min=0.01, max=168.0, help="For so long.")] = 1.0,
    by: By = None,
    why: Why = "",
    state: State = None,
) -> None:
    """Tell nobody of some alarms for some hours; they are listed all the same, and told afterwards if they stand."""
    from services.alarms.quiet import silence

    raise typer.Exit(silence(state_folder(state), flasks, channel, hours, _who(by), why))


@app.command("silences")
def alarms_silences(
    state: State = None,
    end: Annotated[str | None, typer.Option(help="End this one now.")] = None,
    by: By = None,
    json: AsJson = False,
) -> None:
    """List silences, or end one before its time."""
    from services.alarms.quiet import end_silence, list_silences

    folder = state_folder(state)
    raise typer.Exit(end_silence(folder, end, _who(by)) if end else list_silences(folder, as_json=json))


@app.command("deliveries")
def alarms_deliveries(
    state: State = None,
    everything: Annotated[bool, typer.Option("--all", help="Delivered ones, too.")] = False,
    json: AsJson = False,
) -> None:
    """Show which notifications wait for whom, and why; exit code 1 when one was given up."""
    from services.alarms.quiet import list_deliveries

    raise typer.Exit(list_deliveries(state_folder(state), everything=everything, as_json=json))


@app.command("log")
def alarms_log(
    state: State = None,
    flask: Annotated[str | None, typer.Option(help="Only this flask.")] = None,
    json: AsJson = False,
) -> None:
    """Print the audit log: who, when, why; exit code 1 when a line was changed by hand."""
    from services.alarms.listing import show_log

    raise typer.Exit(show_log(state_folder(state), flask, as_json=json))


def _act(
    action: str,
    flask: str,
    channel: str | None,
    by: str | None,
    why: str,
    state: Path | None,
    hours: float | None = None,
) -> None:
    from monitor.messages import OperatorAction
    from services.alarms.acting import Wish, act

    wish = Wish(OperatorAction(action), flask, channel, _who(by), why, hours)
    raise typer.Exit(act(state_folder(state), wish))


def _who(by: str | None) -> str:
    import getpass

    return by or getpass.getuser()


def forecast(
    state: State = None,
    flask: Annotated[str | None, typer.Option(help="Only this flask.")] = None,
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="Print for programs.")] = False,
) -> None:
    """Say when potency will cross its floor and when a flask will be confluent, if it goes on as it went."""
    from services.alarms.forecasting import show_forecasts

    raise typer.Exit(show_forecasts(state_folder(state), flask, config, as_json=json))


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
