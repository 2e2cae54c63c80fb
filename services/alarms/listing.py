"""What stands: every alarm that is not normal, the urgent and unseen ones first."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from monitor.culture.standing import AlarmStanding
from monitor.errors import SettingsError
from monitor.messages import AlarmStatus, Channel, OperatorActed
from services.alarms.acting import UNSEEN, said
from services.alarms.place import opened
from services.delivery.outbox import Outbox
from services.demo_model import warn_of_demo
from services.state_folder import StateFolder
from services.store.audit import AuditLine, broken_at
from services.telemetry import printable

URGENCY = {"high": 0, "medium": 1, "low": 2}
STYLES = {AlarmStatus.UNACKNOWLEDGED: "red", AlarmStatus.LATCHED: "red", AlarmStatus.ACKNOWLEDGED: "yellow"}


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """What became of the notifications about an alarm at one receiver."""

    receiver: str
    state: str
    at: str | None
    last_error: str


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """An alarm as it is listed; times are ISO 8601, UTC; empty and null where an alarm was not raised."""

    flask: str
    channel: str
    status: str
    priority: str
    since: str
    by: str
    why: str
    onset: str | None
    raised: str | None
    cause: str
    consequence: str
    action: str
    respond_by: str | None
    shelved_until: str | None
    told: tuple[DeliveryLine, ...]
    waiting: tuple[str, ...]


def list_alarms(folder: Path, flask: str | None, *, suppressed: bool, as_json: bool) -> int:
    """Print the alarms that are not normal; return 1 when one of them is unseen."""
    state, record = opened(folder)
    with record:
        standings, actions = record.standings(), record.waiting_actions()
        chosen = [standing for standing in standings if flask is None or standing.flask == flask]
        shown = by_urgency(s for s in chosen if suppressed or s.status is not AlarmStatus.SUPPRESSED)
        of_potency = {standing.flask for standing in shown if standing.channel is Channel.POTENCY}
        newest = [one for name in of_potency for one in record.estimates(name)[-1:]]
    lines = [line_of(standing, told(state, standing), waiting_for(standing, actions)) for standing in shown]
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=1))
    else:
        _print(lines, len(chosen) - len(shown))
        warn_of_demo(Console(stderr=True), {one.provenance.potency_model for one in newest})
    return int(any(standing.status in UNSEEN for standing in shown))


def by_urgency(standings: Iterable[AlarmStanding]) -> list[AlarmStanding]:
    """Return alarms in the order of reading: unseen ones first, then by priority and age."""
    return sorted(standings, key=urgency_of)


def urgency_of(standing: AlarmStanding) -> tuple[bool, int, datetime, str, str]:
    """Return where an alarm stands in the order of reading; no two stand at the same place."""
    urgency = URGENCY[standing.raised.priority] if standing.raised else len(URGENCY)
    return standing.status not in UNSEEN, urgency, standing.since, standing.flask, standing.channel.value


def waiting_for(standing: AlarmStanding, actions: Iterable[OperatorActed]) -> tuple[str, ...]:
    """Return what operators did to an alarm that is not part of its history yet."""
    place = (standing.flask, standing.channel)
    return tuple(f"{acted.action} by {acted.by}" for acted in actions if (acted.flask, acted.channel) == place)


def line_of(standing: AlarmStanding, told: Sequence[DeliveryLine] = (), waiting: tuple[str, ...] = ()) -> AlarmLine:
    """Return an alarm as it is listed."""
    raised = standing.raised
    return AlarmLine(
        flask=standing.flask,
        channel=standing.channel.value,
        status=standing.status.value,
        priority=raised.priority if raised else "",
        since=_text(standing.since) or "",
        by=standing.by,
        why=standing.why,
        onset=_text(raised.estimated_onset_at) if raised else None,
        raised=_text(raised.at) if raised else None,
        cause=raised.cause if raised else "",
        consequence=raised.consequence if raised else "",
        action=raised.action if raised else "",
        respond_by=_text(raised.respond_by) if raised else None,
        shelved_until=_text(standing.shelved_until),
        told=tuple(told),
        waiting=waiting,
    )


def told(state: StateFolder, standing: AlarmStanding) -> list[DeliveryLine]:
    """Return what became of the notifications about an alarm; nothing where no notifier has run."""
    if standing.raised is None:
        return []
    try:
        with Outbox(state.outbox, readonly=True) as outbox:
            letters = outbox.of_alarm(standing.raised.alarm_id)
    except SettingsError:
        return []
    of_raising = [letter for letter in letters if letter.event_id == standing.raised.event_id]
    return [DeliveryLine(one.receiver, one.state.value, _text(one.delivered_at), one.last_error) for one in of_raising]


def show_log(folder: Path, flask: str | None, *, as_json: bool) -> int:
    """Print the audit log, oldest line first; return 1 when its chain is broken."""
    _, record = opened(folder)
    with record:
        lines = list(record.audit_lines())
    broken = broken_at(lines)
    chosen = [line for line in lines if flask is None or line.entry.what.flask == flask]
    for line in chosen:
        if as_json:
            typer.echo(json.dumps({"number": line.number, **json.loads(line.text), "hash": line.hash}))
        else:
            typer.echo(printable(_log_line(line)))
    if broken is not None:
        message = f"line {broken} does not fit the one before it: the log was changed by hand"
        Console(stderr=True).print(message, style="bold red", highlight=False)
    return int(broken is not None)


def _log_line(line: AuditLine) -> str:
    entry = line.entry
    about = " ".join(filter(None, (entry.what.flask, getattr(entry.what, "channel", None))))
    return f"{line.number:6} {entry.written_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ} {about}  {entry.words}"


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def _print(lines: Sequence[AlarmLine], hidden: int) -> None:
    """Print a paragraph for each alarm: a table of so many words is unreadable on a narrow terminal or a phone."""
    console = Console(highlight=False)
    if not lines:
        console.print("no alarm stands")
    for line in lines:
        style = STYLES.get(AlarmStatus(line.status), "")
        console.print(Text(printable(_heading(line)), f"bold {style}".strip()))
        for label, words in _paragraph(line):
            if words:
                console.print(Padding(Text(printable(f"{label}{words}")), (0, 0, 0, 2), expand=False))
    if hidden:
        console.print(f"{hidden} more cannot be judged because of these; --suppressed shows them")


def _heading(line: AlarmLine) -> str:
    moment = (line.onset or line.since)[:16].replace("T", " ")
    priority = f", {line.priority} priority" if line.priority else ""
    return f"{line.flask}  {line.channel}: {said(AlarmStatus(line.status)).upper()}{priority}, since {moment} UTC"


def _paragraph(line: AlarmLine) -> list[tuple[str, str]]:
    respond_by = (line.respond_by or "")[:16].replace("T", " ")
    open_ = AlarmStatus(line.status) in UNSEEN
    return [
        ("", line.cause),
        ("do: ", line.action if open_ else ""),
        ("act by: ", f"{respond_by} UTC" if respond_by and open_ else ""),
        (f"{line.by}: ", line.why if line.why != line.cause else ""),
        ("on the shelf until: ", (line.shelved_until or "")[:16].replace("T", " ")),
        ("waiting to take effect: ", ", ".join(line.waiting)),
        ("told: ", ", ".join(f"{one.receiver} {one.state}" for one in line.told)),
    ]
