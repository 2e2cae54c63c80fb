"""Silences and deliveries as an operator sees them."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer

from monitor.errors import SettingsError
from monitor.messages import Channel
from services.alarms.place import opened
from services.delivery.letter import DeliveryState
from services.delivery.outbox import Outbox
from services.store.silence import Silence
from services.telemetry import printable


def silence(folder: Path, flasks: str, channel: str | None, hours: float, by: str, why: str) -> int:
    """Set a silence that begins now.

    Raises
    ------
    SettingsError
        The folder holds no run, or there is no such channel.
    """
    if channel is not None and channel not in list(Channel):
        names = ", ".join(one.value for one in Channel)
        raise SettingsError(f"there is no channel {channel!r}; choose among {names}", reason="no_channel")
    now = datetime.now(UTC)
    made = Silence(
        silence_id=uuid.uuid4().hex[:12],
        flasks=flasks,
        channel=None if channel is None else Channel(channel),
        set_at=now,
        until=now + timedelta(hours=hours),
        by=by,
        why=why,
    )
    _, record = opened(folder)
    with record:
        record.put_silence(made)
    typer.echo(_line(made, now))
    return 0


def end_silence(folder: Path, silence_id: str, by: str) -> int:
    """End a silence before its time; return 1 when it is over already.

    Raises
    ------
    SettingsError
        There is no such silence.
    """
    _, record = opened(folder)
    with record:
        found = next((one for one in record.silences() if one.silence_id == silence_id), None)
        if found is None:
            message = f"there is no silence {silence_id!r}; `cellvigil alarms silences` lists them"
            raise SettingsError(message, reason="no_silence")
        now = datetime.now(UTC)
        if found.over(now):
            typer.echo(f"{silence_id} is over already")
            return 1
        record.put_silence(found.model_copy(update={"ended_at": now, "ended_by": by}))
    typer.echo(f"{silence_id} ended; what waited is told within a minute")
    return 0


def list_silences(folder: Path, *, as_json: bool) -> int:
    """Print every silence, those that are over too."""
    _, record = opened(folder)
    with record:
        found = record.silences()
    now = datetime.now(UTC)
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") | {"over": one.over(now)} for one in found], indent=1))
    else:
        for one in found:
            typer.echo(_line(one, now))
    return 0


def list_deliveries(folder: Path, *, everything: bool, as_json: bool) -> int:
    """Print who was told what and when, and what waits for whom; return 1 when something was given up.

    Raises
    ------
    SettingsError
        No notifier has run on this folder.
    """
    state, record = opened(folder)
    record.close()
    with Outbox(state.outbox, readonly=True) as outbox:
        letters = outbox.rows()
    given_up = [letter for letter in letters if letter.state is DeliveryState.GIVEN_UP]
    shown = letters if everything else [one for one in letters if one.state is not DeliveryState.DELIVERED]
    rows = [
        {
            "receiver": letter.receiver,
            "flask": letter.fact.flask,
            "channel": letter.fact.channel.value,
            "change": letter.fact.state.value,
            "state": letter.state.value,
            "attempts": letter.attempts,
            "delivered_at": _text(letter.delivered_at),
            "next_try": _text(letter.next_try) if letter.state is DeliveryState.WAITING else None,
            "last_error": letter.last_error,
        }
        for letter in shown
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        for row in rows:
            typer.echo(printable("  ".join(str(value) for value in row.values() if value not in (None, ""))))
        typer.echo(f"{len(letters) - len(given_up)} of {len(letters)} notifications delivered or under way")
    return int(bool(given_up))


def _line(one: Silence, now: datetime) -> str:
    what = f"{one.flasks} {one.channel or 'every channel'}"
    ended = f", ended by {one.ended_by} at {_text(one.ended_at)}" if one.ended_at else ""
    stands = "over" if one.over(now) else "holds"
    return printable(f"{one.silence_id}  {stands}: {what} until {_text(one.until)} by {one.by}{ended}. {one.why}")


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")
