"""The fleet at a glance: one line per flask, for the terminal's live table and `cellvigil status`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.table import Table
from rich.text import Text

from monitor.messages import AlarmChanged, AlarmState, AlarmStatus, Channel, PotencyEstimated
from services.record.base import Record
from services.results import inert


@dataclass(frozen=True, slots=True)
class FlaskLine:
    """Where a flask stands: its newest frame, its rolling potency and its standing alarms."""

    flask: str
    newest: PotencyEstimated
    frames: int
    cells: int
    alarms: tuple[AlarmChanged, ...]


STANDING = frozenset((AlarmStatus.UNACKNOWLEDGED, AlarmStatus.ACKNOWLEDGED, AlarmStatus.LATCHED))


def standing(alarms: Sequence[AlarmChanged]) -> dict[str, tuple[AlarmChanged, ...]]:
    """Return the alarms that were raised and not cleared, by flask, from events in order of time.

    Each is the event that raised it, with the status that it has by now; what was put on the shelf does not stand.
    """
    raised: dict[tuple[str, Channel], AlarmChanged] = {}
    status: dict[tuple[str, Channel], AlarmStatus] = {}
    for event in alarms:
        place = (event.flask, event.channel)
        if event.state is AlarmState.RAISED:
            raised[place] = event
        by_state = AlarmStatus.UNACKNOWLEDGED if event.state is AlarmState.RAISED else AlarmStatus.NORMAL
        status[place] = event.status or by_state
    flasks: dict[str, tuple[AlarmChanged, ...]] = {}
    for place, event in raised.items():
        if status[place] in STANDING:
            stands = event.model_copy(update={"status": status[place]})
            flasks[event.flask] = (*flasks.get(event.flask, ()), stands)
    return flasks


def fleet(record: Record) -> list[FlaskLine]:
    """Return one line per flask that has an estimate, by name."""
    raised = standing(record.alarms())
    lines = []
    for flask in record.flasks():
        estimates = record.estimates(flask)
        if estimates:
            newest = estimates[-1]
            per_position = {estimate.key.position: estimate for estimate in estimates}
            cells = sum(estimate.n_cells for estimate in per_position.values())
            lines.append(FlaskLine(flask, newest, len(estimates), cells, raised.get(flask, ())))
    return lines


def fleet_table(lines: Sequence[FlaskLine], now: datetime, title: str = "") -> Table:
    """Render the fleet: the state stands in words beside its colour."""
    table = Table(title=title or None, title_justify="left", expand=False)
    for heading, side in (
        ("flask", "left"),
        ("last frame", "left"),
        ("frames", "right"),
        ("cells", "right"),
        ("confluency", "right"),
        ("potency % (90 %)", "left"),
        ("trend / day", "right"),
        ("alarm", "left"),
    ):
        table.add_column(heading, justify="right" if side == "right" else "left", no_wrap=True)
    for line in lines:
        newest, rolling = line.newest, line.newest.rolling
        table.add_row(
            Text(inert(line.flask)),
            f"{newest.acquired_at:%d %b %H:%M} ({_age(now, newest.acquired_at)})",
            str(line.frames),
            str(line.cells),
            f"{100 * newest.quality.confluency:.0f} %",
            _interval(rolling.potency, rolling.low, rolling.high),
            f"{rolling.trend_per_day:+.0f}" if rolling.trend_per_day is not None else "-",
            _alarm(line.alarms),
        )
    return table


def _interval(potency: float | None, low: float | None, high: float | None) -> str:
    if potency is None or low is None or high is None:
        return "not assessable"
    return f"{potency:3.0f}  ({low:.0f}-{high:.0f})"


def _alarm(alarms: Sequence[AlarmChanged]) -> Text:
    if not alarms:
        return Text("none", style="green")
    known = all(alarm.status is AlarmStatus.ACKNOWLEDGED for alarm in alarms)
    told = ", ".join(
        f"{a.channel.value} since {a.estimated_onset_at:%H:%M}"
        + (" (acknowledged)" if a.status is AlarmStatus.ACKNOWLEDGED else "")
        for a in alarms
    )
    return Text(told, style="yellow" if known else "bold red")


def _age(now: datetime, then: datetime) -> str:
    minutes = max(0, round((now - then).total_seconds() / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
