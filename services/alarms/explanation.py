"""An alarm for somebody who is woken by it: what, since when, how sure, why, what follows, what to do, by when."""

import json
from datetime import UTC, datetime
from pathlib import Path

import typer

from monitor.culture.floor import FloorWatch
from monitor.culture.rules import UPSTREAM, rules_by_channel
from monitor.culture.standing import AlarmStanding
from monitor.errors import SettingsError
from monitor.messages import AlarmChanged, AlarmStatus, Channel, DriftDetected, PotencyEstimated, RollingEstimate
from services.alarms.acting import said
from services.alarms.forecasting import forecast_of, sentences
from services.alarms.listing import DeliveryLine, told
from services.alarms.place import opened
from services.settings import Settings, settings_of
from services.store.record_sqlite import SqliteRecord
from services.telemetry import printable

MINUTE_S, HOUR_S = 60.0, 3600.0
LONG_S = 2.0 * HOUR_S


def explain_alarm(folder: Path, flask: str, channel: str | None, *, as_json: bool) -> int:
    """Print everything about a flask's alarms that are not normal; return 1 when there is none.

    Raises
    ------
    SettingsError
        The folder holds no run, or there is no such flask or channel.
    """
    state, record = opened(folder)
    with record:
        if flask not in record.flasks():
            known = ", ".join(record.flasks()[:20]) or "none"
            raise SettingsError(f"there is no flask {flask!r} here; there are: {known}", reason="no_flask")
        standings = [standing for standing in record.standings() if standing.flask == flask]
        meant = [s for s in standings if (s.channel == channel if channel else s.raised is not None)]
        settings = settings_of(state)
        found = []
        for standing in meant:
            words = words_of(standing, standings, record, settings)
            words["told"] = "; ".join(_told(one) for one in told(state, standing)) or "nobody yet"
            found.append(words)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        for words in found:
            typer.echo("\n".join(printable(f"{name:<13}{text}") for name, text in words.items()) + "\n")
        if not found:
            typer.echo(printable(f"{flask}: no alarm stands{f' on {channel}' if channel else ''}"))
    return int(not found)


def _told(one: DeliveryLine) -> str:
    when, why = f" at {one.at}" if one.at else "", f": {one.last_error}" if one.last_error else ""
    return f"{one.receiver} {one.state}{when}{why}"


def words_of(
    standing: AlarmStanding, others: list[AlarmStanding], record: SqliteRecord, settings: Settings
) -> dict[str, str]:
    """Return headings and sentences in the order of reading; `others` are the flask's alarms that are not normal."""
    raised, rule = standing.raised, rules_by_channel(settings.culture.rules)[standing.channel]
    estimates = record.estimates(standing.flask)
    words = {
        "alarm": f"{standing.flask}: {standing.channel}, priority {rule.priority}",
        "status": f"{said(standing.status)} since {_time(standing.since)} by {standing.by}: {standing.why}",
        "what": raised.cause if raised else standing.why,
        "since": _since(raised) if raised else _time(standing.since),
        "how sure": _how_sure(standing, raised, record.drifts(standing.flask), settings),
        "now": _now(estimates[-1].rolling) if estimates else "no estimate yet",
        "ahead": _ahead(standing.flask, estimates, settings) or "nothing can be said",
        "channel": _channel(standing.channel, others),
        "likely cause": rule.cause,
        "if nothing": rule.consequence,
        "do": rule.action,
        "by": _by(raised) if raised else "-",
    }
    return words


def _since(raised: AlarmChanged) -> str:
    hours = (raised.at - raised.estimated_onset_at).total_seconds() / HOUR_S
    return f"{_time(raised.estimated_onset_at)}, {hours:.1f} h before it was raised at {_time(raised.at)}"


def _how_sure(
    standing: AlarmStanding, raised: AlarmChanged | None, drifts: list[DriftDetected], settings: Settings
) -> str:
    if raised is None:
        return "the alarm was not raised"
    found = next((d for d in drifts if (d.frame_id, d.channel) == (raised.frame_id, standing.channel)), None)
    if found is None:
        culture = settings.culture
        return f"seen on {culture.raise_after_frames} frames in a row" if raised.frame_id else "observed directly"
    if found.detector == FloorWatch.name:
        return f"the rolling potency lies {found.statistic:.1f} standard deviations of a frame below the floor"
    sure = f"{found.detector} stands at {found.statistic:.1f}, its limit is {found.limit:.1f} standard deviations"
    if standing.channel is Channel.POTENCY:
        budget = settings.culture.false_alarms
        sure += f"; the budget bears {budget.alarms:g} by chance in {budget.days:g} days over {budget.flasks} flasks"
    return sure + ("; provisional: the flask's usual values rest on few frames" if found.provisional else "")


def _now(rolling: RollingEstimate) -> str:
    if rolling.potency is None or rolling.low is None or rolling.high is None:
        return "potency not assessable"
    trend = "" if rolling.trend_per_day is None else f", {rolling.trend_per_day:+.0f} points a day"
    return f"rolling potency {rolling.potency:.0f} % ({rolling.low:.0f} to {rolling.high:.0f}){trend}"


def _ahead(flask: str, estimates: list[PotencyEstimated], settings: Settings) -> str:
    if not estimates:
        return ""
    return "; ".join(sentences(forecast_of(flask, estimates, settings.culture), settings.culture))


def _channel(channel: Channel, others: list[AlarmStanding]) -> str:
    stands = {standing.channel: standing.status for standing in others}
    above = [f"{one} {said(stands.get(one, AlarmStatus.NORMAL))}" for one in UPSTREAM.get(channel, ())]
    return f"{channel}; above it: {', '.join(above)}" if above else f"{channel}; no channel stands above it"


def _by(raised: AlarmChanged) -> str:
    if raised.respond_by is None:
        return "at once"
    late_s = (datetime.now(UTC) - raised.respond_by).total_seconds()
    late = f"{late_s / MINUTE_S:.0f} min" if late_s < LONG_S else f"{late_s / HOUR_S:.0f} h"
    return _time(raised.respond_by) + (f", {late} ago" if late_s > 0.0 else "")


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
