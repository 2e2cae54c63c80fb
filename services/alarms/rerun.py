"""History once more: stored rows folded again, under the settings in force or under others, beside the stored log.

What was measured stays as it is; what is made of it (baselines, limits, delays, rules) is made anew. With the settings
in force the result is the stored alarm log, byte for byte; with others the difference says what would have alarmed.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path

import typer

from monitor.culture.settings import CultureSettings
from monitor.culture.state import fold
from monitor.messages import AlarmChanged, AlarmState
from services.alarms.place import opened
from services.settings import settings_of
from services.store.record_sqlite import SqliteRecord
from services.telemetry import printable
from services.whole_file import write_whole

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm as it is compared; `at` is ISO 8601, UTC."""

    flask: str
    channel: str
    at: str
    cause: str


@dataclass(frozen=True, slots=True)
class Moved:
    """An alarm that comes at another time; hours are negative when it comes sooner."""

    flask: str
    channel: str
    stored_at: str
    recomputed_at: str
    hours: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How a recomputed history differs from the stored one.

    identical: the two alarm logs are the same, byte for byte; gone: raised in the stored history alone; new: in the
    recomputed one alone; moved: in both, at other times.
    """

    flasks: int
    rows: int
    stored: int
    recomputed: int
    identical: bool
    gone: tuple[Raised, ...]
    new: tuple[Raised, ...]
    moved: tuple[Moved, ...]


def replay_rows(folder: Path, config: Path | None, flask: str | None, log: Path | None, *, as_json: bool) -> int:
    """Recompute and print the difference; return 1 when nothing was changed and the log is another one all the same.

    `log` takes the recomputed alarm log, one event a line.

    Raises
    ------
    SettingsError
        The folder holds no run, or the settings cannot be used.
    """
    state, record = opened(folder)
    with record:
        culture = settings_of(state, config).culture
        rows, stored, recomputed = _histories(record, culture, flask)
    found = compare(stored, recomputed, flasks=len(rows), rows=sum(rows.values()))
    if log is not None:
        write_whole(log, log_of(recomputed).encode())
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
    else:
        _tell(found)
    return int(config is None and not found.identical)


def compare(
    stored: Sequence[AlarmChanged], recomputed: Sequence[AlarmChanged], *, flasks: int, rows: int
) -> Difference:
    """Return how two alarm logs differ."""
    before, after = _raised(stored), _raised(recomputed)
    gone, new, moved = [], [], []
    for place in sorted({*before, *after}):
        old = [event for event in before[place] if event.event_id not in {other.event_id for other in after[place]}]
        young = [event for event in after[place] if event.event_id not in {other.event_id for other in before[place]}]
        pairs = list(zip(old, young, strict=False))
        moved += [_moved(one, other) for one, other in pairs]
        gone += [_shown(event) for event in old[len(pairs) :]]
        new += [_shown(event) for event in young[len(pairs) :]]
    return Difference(
        flasks=flasks,
        rows=rows,
        stored=sum(map(len, before.values())),
        recomputed=sum(map(len, after.values())),
        identical=log_of(stored) == log_of(recomputed),
        gone=tuple(gone),
        new=tuple(new),
        moved=tuple(moved),
    )


def log_of(events: Sequence[AlarmChanged]) -> str:
    """Return an alarm log as text: one event a line, in order of time and id."""
    ordered = sorted(events, key=lambda event: (event.at, event.event_id))
    return "".join(event.model_dump_json() + "\n" for event in ordered)


def _histories(
    record: SqliteRecord, culture: CultureSettings, flask: str | None
) -> tuple[dict[str, int], list[AlarmChanged], list[AlarmChanged]]:
    rows, recomputed = {}, []
    for name in record.flasks() if flask is None else [flask]:
        history = fold(name, record.culture_rows(name), culture)
        rows[name] = len(history)
        recomputed += [alarm for _, step in history for alarm in step.alarms]
    return rows, record.alarms(flask), recomputed


def _raised(events: Sequence[AlarmChanged]) -> dict[tuple[str, str], list[AlarmChanged]]:
    found: dict[tuple[str, str], list[AlarmChanged]] = defaultdict(list)
    for event in sorted(events, key=lambda event: (event.at, event.event_id)):
        if event.state is AlarmState.RAISED:
            found[event.flask, event.channel].append(event)
    return found


def _shown(event: AlarmChanged) -> Raised:
    return Raised(event.flask, event.channel.value, _time(event), event.cause)


def _moved(one: AlarmChanged, other: AlarmChanged) -> Moved:
    hours = (other.at - one.at).total_seconds() / HOUR_S
    return Moved(one.flask, one.channel.value, _time(one), _time(other), round(hours, 2))


def _time(event: AlarmChanged) -> str:
    return event.at.astimezone(UTC).isoformat(timespec="seconds")


def _tell(found: Difference) -> None:
    for what, alarms in (("would not have come", found.gone), ("would have come", found.new)):
        for alarm in alarms:
            typer.echo(printable(f"{alarm.flask} {alarm.channel} at {alarm.at} {what}: {alarm.cause}"))
    for moved in found.moved:
        way = "later" if moved.hours > 0.0 else "sooner"
        place = f"{moved.flask} {moved.channel} at {moved.stored_at}"
        typer.echo(printable(f"{place} would have come {abs(moved.hours):.2f} h {way}, at {moved.recomputed_at}"))
    same = "the alarm log is the same, byte for byte" if found.identical else "the alarm log is another one"
    counts = f"{found.stored} alarms stored, {found.recomputed} recomputed"
    typer.echo(f"{found.rows} rows of {found.flasks} flasks; {counts}; {same}")
