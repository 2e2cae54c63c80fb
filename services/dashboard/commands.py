"""`cellvigil dashboard ...`: the operator's page, and who may use it. Heavy imports wait inside the commands."""

import threading
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.command_options import Config, State, state_folder

app = typer.Typer(
    help="The operator's page in the browser, and who may use it.", no_args_is_help=False, rich_markup_mode=None
)

user_app = typer.Typer(help="Who may sign in.", no_args_is_help=True, rich_markup_mode=None)
token_app = typer.Typer(help="Tokens for scripts.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(user_app, name="user")
app.add_typer(token_app, name="token")


class RoleName(StrEnum):
    """Roles to choose from; a test holds them against `services.dashboard.roles.Role`."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


Name = Annotated[str, typer.Argument(help="Name of the user.")]
TokenName = Annotated[str, typer.Argument(help="Name of the token.")]
RoleOption = Annotated[RoleName, typer.Option("--role", help="viewer looks, operator acts, admin changes users too.")]
PasswordFile = Annotated[Path | None, typer.Option("--password-file", help="Read the password from this file.")]


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
    from services.state_folder import StateFolder
    from services.telemetry import configure_logging
    from services.transport.signals import install_signals

    settings = _settings(config, state, {"host": host, "port": port})
    configure_logging(StateFolder(settings.state).logs, "dashboard")
    stop = threading.Event()
    install_signals(stop)

    def listening(url: str) -> None:
        typer.echo(f"the page of {settings.state} is at {url} (Ctrl-C ends it)")
        if not StateFolder(settings.state).record.is_file():
            typer.echo(f"nothing is recorded in {settings.state} yet; is it the --state of `cellvigil run`?")
        if open_:
            import webbrowser

            webbrowser.open(url)

    raise typer.Exit(serve(settings, stop, listening))


@user_app.command("add")
def user_add(
    name: Name, role: RoleOption = RoleName.OPERATOR, password_file: PasswordFile = None, state: State = None
) -> None:
    """Add somebody who may sign in; the password is asked for, or read from a file."""
    _users(state).add(name, _role(role), _password(password_file))
    _note(state, "added the user", f"{name} as {role.value}")
    typer.echo(f"{name} may sign in now, as {role.value}")


@user_app.command("list")
def user_list(
    state: State = None, json: Annotated[bool, typer.Option("--json", help="Print for programs.")] = False
) -> None:
    """Show who may sign in, with their tokens by name."""
    import json as texts
    from dataclasses import asdict

    users = _users(state).all()
    if json:
        typer.echo(texts.dumps([asdict(user) for user in users], indent=1))
        return
    for user in users:
        tokens = ", ".join(token.name for token in user.tokens)
        typer.echo(f"{user.name}  {user.role.value}{f'  tokens: {tokens}' if tokens else ''}")
    if not users:
        typer.echo("there are no users: whoever sits at this machine may do everything on its page")


@user_app.command("change")
def user_change(
    name: Name,
    role: Annotated[RoleName | None, typer.Option(help="New role.")] = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for a new password.")] = False,
    password_file: PasswordFile = None,
    state: State = None,
) -> None:
    """Give somebody another role or password; whoever is signed in under the name has to sign in again."""
    fresh = _password(password_file) if password or password_file else None
    _users(state).change(name, role=None if role is None else _role(role), password=fresh)
    _note(state, "changed the user", name)
    typer.echo(f"{name} has to sign in again")


@user_app.command("remove")
def user_remove(name: Name, state: State = None) -> None:
    """Remove somebody with all sign-ins and tokens; without users whoever sits at this machine may do everything."""
    _users(state).remove(name, last=True)
    _note(state, "removed the user", name)
    typer.echo(f"{name} is removed")


@token_app.command("add")
def token_add(user: Name, name: TokenName, state: State = None) -> None:
    """Make a token for scripts, which acts as its user; it is printed this once."""
    token = _users(state).make_token(user, name)
    _note(state, "made the token", f"{name} of {user}")
    typer.echo(token)


@token_app.command("remove")
def token_remove(user: Name, name: TokenName, state: State = None) -> None:
    """Remove a token; whoever uses it is turned away from now on."""
    _users(state).remove_token(user, name)
    _note(state, "removed the token", f"{name} of {user}")
    typer.echo(f"{name} of {user} is removed")


def _users(state: Path | None) -> Any:  # noqa: ANN401 (Users, whose import is heavy)
    from services.dashboard.users import Users
    from services.state_folder import StateFolder

    return Users(StateFolder(state_folder(state)).users)


def _role(role: RoleName) -> Any:  # noqa: ANN401 (Role, whose package is imported with the page alone)
    from services.dashboard.roles import Role

    return Role(role.value)


def _note(state: Path | None, what: str, subject: str) -> None:
    from services.dashboard.installation import whoever
    from services.dashboard.user_actions import note_user_action
    from services.state_folder import StateFolder

    note_user_action(StateFolder(state_folder(state)), whoever(), what, subject)


def _password(file: Path | None) -> str:
    from monitor.errors import SettingsError

    if file is None:
        found: str = typer.prompt("password", hide_input=True, confirmation_prompt=True)
        return found
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} cannot be read: {error}", reason="password") from error


def _settings(config: Path | None, state: Path | None, own: dict[str, Any]) -> Any:  # noqa: ANN401 (Settings, whose import is heavy)
    from services.settings import load_settings

    overrides: dict[str, Any] = {"dashboard": {name: value for name, value in own.items() if value is not None}}
    if state is not None:
        overrides["state"] = state
    return load_settings(config, overrides)
