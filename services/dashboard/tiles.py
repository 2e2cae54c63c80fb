"""The fleet as tiles: what a person wants to know of a flask from across the room."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import numpy as np

from monitor.culture.rules import RULES
from monitor.culture.standing import AlarmStanding
from monitor.messages import MACHINE, AlarmStatus, Channel
from services.alarms.acting import UNSEEN
from services.alarms.listing import URGENCY
from services.clock import Clock
from services.dashboard.columns import Columns, moment_of
from services.dashboard.readings import Readings
from services.dashboard.schemas import FleetResponse, Machine, Spark, Tile, TileAlarm
from services.dashboard.thinning import kept, rounded
from services.settings import Settings
from services.store.fleet import KEPT, STANDING, flask_state
from services.store.ledger_row import median_gap_s

State = Literal["ok", "alarm", "stale", "no_data"]
SPARK_S = 48 * 3600.0
SPARK_POINTS = 120
OF_MACHINE = frozenset((Channel.LAG, Channel.CLOCK, Channel.DISK, Channel.DELIVERY))
CHANNELS = tuple(channel for channel in RULES if channel not in OF_MACHINE)
"""What a flask is watched for."""
PUT_ASIDE = frozenset((AlarmStatus.SHELVED, AlarmStatus.OUT_OF_SERVICE))


def fleet_of(readings: Readings, settings: Settings, clock: Clock) -> FleetResponse:
    """Return every flask, the urgent ones first, then by name."""
    now = clock.now()
    with readings.lock:
        tiles = [tile_of(flask, readings, now) for flask in readings.flasks() if flask != MACHINE]
        standings = readings.all_standings()
        revision = readings.revision
    tiles.sort(key=lambda tile: (-tile.urgency, tile.flask))
    return FleetResponse(
        now=now,
        speed=settings.clock.speed,
        flasks=tiles,
        machine=machine_of(readings),
        open_alarms=open_of(standings),
        unseen_alarms=unseen_of(standings),
        floor=settings.culture.potency_floor,
        revision=revision,
    )


def machine_of(readings: Readings) -> Machine:
    """Return what stands about the machine."""
    return Machine(alarms=tile_alarms(readings.standings(MACHINE)))


def open_of(standings: Sequence[AlarmStanding]) -> int:
    """Count the alarms that stand."""
    return sum(one.raised is not None and one.status in STANDING | UNSEEN for one in standings)


def unseen_of(standings: Sequence[AlarmStanding]) -> int:
    """Count the alarms that nobody has said that he knows of."""
    return sum(one.status in UNSEEN for one in standings)


def tile_of(flask: str, readings: Readings, now: datetime) -> Tile:
    """Return a flask's tile; hold the lock of the readings."""
    columns = readings.columns(flask) or Columns()
    standings = readings.standings(flask)
    alarms = tile_alarms(standings)
    newest_t = columns.newest("t")
    newest_at = None if newest_t is None else moment_of(newest_t)
    interval_s = median_gap_s([[moment_of(t) for t in columns.last_times(KEPT)]])
    raised = [one.channel for one in standings if one.status in STANDING]
    nothing = newest_at is None and not raised
    state: State = "no_data" if nothing else flask_state(newest_at, interval_s, raised, now)
    return Tile(
        flask=flask,
        state=state,
        potency=_short(columns.newest("rolling")),
        low=_short(columns.newest("rolling_low")),
        high=_short(columns.newest("rolling_high")),
        trend_per_day=_short(columns.newest("trend")),
        confluency=_short(columns.newest("confluency"), 4),
        cells=int(columns.last_of_each("cells")) if len(columns) else None,
        frames=len(columns),
        reason=columns.reasons[-1] if len(columns) else None,
        last_frame_id=columns.ids[-1] if len(columns) else None,
        last_frame_at=newest_at,
        last_frame_age_s=None if newest_at is None else max(0.0, round((now - newest_at).total_seconds(), 1)),
        interval_s=interval_s,
        channels=_channels(standings),
        alarms=alarms,
        spark=_spark(columns),
        urgency=_urgency(state, standings),
    )


def tile_alarms(standings: Sequence[AlarmStanding]) -> list[TileAlarm]:
    """Return the alarms that were raised and are not done with, urgent and unseen ones first."""
    found = [one for one in standings if one.raised is not None]
    found.sort(key=_order)
    return [
        TileAlarm(
            channel=one.channel.value,
            status=one.status.value,
            priority=one.raised.priority,
            cause=one.raised.cause,
            since=one.raised.estimated_onset_at,
            raised_at=one.raised.at,
            respond_by=one.raised.respond_by,
        )
        for one in found
        if one.raised is not None
    ]


def _order(standing: AlarmStanding) -> tuple[bool, bool, int]:
    assert standing.raised is not None
    return standing.status in PUT_ASIDE, standing.status not in UNSEEN, URGENCY[standing.raised.priority]


def _channels(standings: Sequence[AlarmStanding]) -> dict[str, str]:
    stands = {one.channel: one.status.value for one in standings}
    return {channel.value: stands.get(channel, AlarmStatus.NORMAL.value) for channel in CHANNELS}


def _spark(columns: Columns) -> Spark:
    if not len(columns):
        return Spark(t=[], potency=[], low=None, high=None)
    t = columns.column("t")
    first = int(np.searchsorted(t, t[-1] - SPARK_S))
    t, middle = t[first:], columns.column("rolling")[first:]
    places = kept(t, [middle], SPARK_POINTS // 3)
    places = places[-SPARK_POINTS:]
    low, high = columns.column("rolling_low")[first:], columns.column("rolling_high")[first:]
    return Spark(
        t=np.round(t[places], 1).tolist(),
        potency=rounded(middle[places], 2),
        low=None if np.isnan(low).all() else _short(float(np.nanmin(low))),
        high=None if np.isnan(high).all() else _short(float(np.nanmax(high))),
    )


def _urgency(state: str, standings: Sequence[AlarmStanding]) -> int:
    """Return how soon somebody should look, 0 to 100."""
    worst = {"ok": 10, "no_data": 20, "stale": 60, "alarm": 40}[state]
    for one in standings:
        if one.raised is None:
            continue
        rank = 2 - URGENCY[one.raised.priority]
        if one.status in UNSEEN:
            worst = max(worst, 80 + 10 * rank)
        elif one.status is AlarmStatus.ACKNOWLEDGED:
            worst = max(worst, 40 + 5 * rank)
        elif one.status in PUT_ASIDE:
            worst = max(worst, 15 + rank)
    return worst


def _short(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)
