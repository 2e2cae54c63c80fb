"""The fleet at a glance: one line per flask, for the terminal's live table and `cellvigil status`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rich.table import Table
from rich.text import Text

from monitor.culture.standing import AlarmStanding
from monitor.messages import MACHINE, AlarmChanged, AlarmStatus, Channel, PotencyEstimated
from services.store.ledger_row import median_gap_s
from services.store.record_view import RecordView
from services.telemetry import printable


@dataclass(frozen=True, slots=True)
class FlaskLine:
    """Where a flask stands: its newest frame, its rolling potency and its standing alarms.

    newest is None of a flask without a single estimate; interval_s: usual time between its time points, None when that
    is not known yet.
    """

    flask: str
    newest: PotencyEstimated | None
    frames: int
    cells: int
    alarms: tuple[AlarmChanged, ...]
    interval_s: float | None = None

    def state(self, now: datetime) -> str:
        """Return `stale` where nothing came for some intervals or nothing ever was estimated, else `alarm` or `ok`.

        A flask without data is never ok; what was estimated long ago says nothing of now.
        """
        if self.flask == MACHINE:
            return "alarm" if self.alarms else "ok"
        newest_at = None if self.newest is None else self.newest.acquired_at
        return flask_state(newest_at, self.interval_s, [alarm.channel for alarm in self.alarms], now)


BLIND = (Channel.ARRIVAL, Channel.FROZEN)
STALE_INTERVALS = 3.0
KEPT = 16
STANDING = frozenset((AlarmStatus.UNACKNOWLEDGED, AlarmStatus.ACKNOWLEDGED, AlarmStatus.LATCHED))


def flask_state(
    newest_at: datetime | None, interval_s: float | None, raised: Collection[Channel], now: datetime
) -> Literal["ok", "alarm", "stale"]:
    """Return the state of a flask whose newest estimate is of a time, and on whose channels alarms stand."""
    if newest_at is None or any(channel in BLIND for channel in raised):
        return "stale"
    if interval_s is not None and (now - newest_at).total_seconds() > STALE_INTERVALS * interval_s:
        return "stale"
    return "alarm" if raised else "ok"


class Fleet:
    """The lines of all flasks; each look after the first one counts only what is new.

    What is shown of a flask is found by its newest frames, however long its history is.
    """

    def __init__(self) -> None:
        self._frames: dict[str, int] = {}
        self._last: int | None = None

    def lines(self, record: RecordView) -> list[FlaskLine]:
        """Return one line per flask that has rows, by name, and one for the machine where an alarm of it stands."""
        self._count(record)
        raised = _standing_alarms(record)
        return [
            self._line(record, flask, raised.get(flask, ()))
            for flask in record.flasks()
            if flask != MACHINE or flask in raised
        ]

    def _count(self, record: RecordView) -> None:
        found, last = record.count_estimates() if self._last is None else record.count_estimates_after(self._last)
        if last < (self._last or 0):  # it is another record
            self._frames, (found, last) = {}, record.count_estimates()
        for flask, count in found.items():
            self._frames[flask] = self._frames.get(flask, 0) + count
        self._last = last

    def _line(self, record: RecordView, flask: str, alarms: tuple[AlarmChanged, ...]) -> FlaskLine:
        newest = record.newest_of(flask)
        if not newest:
            return FlaskLine(flask, None, 0, 0, alarms)
        cells = sum({estimate.key.position: estimate.n_cells for estimate in newest}.values())
        interval_s = median_gap_s([record.last_times(newest[-1], KEPT)])
        return FlaskLine(flask, newest[-1], self._frames.get(flask, 0), cells, alarms, interval_s)


def _standing_alarms(record: RecordView) -> dict[str, tuple[AlarmChanged, ...]]:
    """Return the alarms that stand, by flask, each as the event that raised it with the status that it has by now."""
    flasks: dict[str, tuple[AlarmChanged, ...]] = {}
    found = [AlarmStanding.model_validate_json(fact) for _, fact in record.standings()]
    for one in sorted(found, key=lambda one: one.since):
        if one.raised is not None and one.status in STANDING:
            stands = one.raised.model_copy(update={"status": one.status})
            flasks[one.flask] = (*flasks.get(one.flask, ()), stands)
    return flasks


def fleet_table(lines: Sequence[FlaskLine], now: datetime, title: str = "") -> Table:
    """Render the fleet: the state stands in words beside its colour."""
    table = Table(title=title or None, title_justify="left", expand=False)
    for heading, side in (
        ("flask", "left"),
        ("state", "left"),
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
        state = line.state(now)
        shown = _measured(line.newest, now) if line.newest is not None else ("-",) * 4
        last, *measured = shown
        counts = (str(line.frames), str(line.cells))
        table.add_row(
            Text(printable(line.flask)), Text(state, STYLES[state]), last, *counts, *measured, _alarm(line.alarms)
        )
    return table


STYLES = {"ok": "green", "alarm": "bold red", "stale": "bold magenta"}


def _measured(newest: PotencyEstimated, now: datetime) -> tuple[str, ...]:
    rolling = newest.rolling
    return (
        f"{newest.acquired_at:%d %b %H:%M} ({_age(now, newest.acquired_at)})",
        f"{100 * newest.quality.confluency:.0f} %",
        _interval(rolling.potency, rolling.low, rolling.high),
        f"{rolling.trend_per_day:+.0f}" if rolling.trend_per_day is not None else "-",
    )


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
