"""When a flask's potency will cross the floor, and when it will be confluent, if it goes on as it went."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from rich.console import Console

from monitor.culture.forecast import FRAMES, Forecast, crossing, logit
from monitor.culture.settings import CultureSettings
from monitor.messages import EstimateState, PotencyEstimated
from services.alarms.place import opened
from services.demo_model import warn_of_demo
from services.settings import settings_of
from services.telemetry import printable

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class FlaskForecast:
    """What is ahead of one flask, counted from its last frame; None where nothing can be said."""

    flask: str
    last_frame_at: str
    potency: Forecast | None
    confluency: Forecast | None


def forecast_of(flask: str, estimates: Sequence[PotencyEstimated], culture: CultureSettings) -> FlaskForecast:
    """Return the forecasts of a flask from its estimates in order of time, of which there is at least one."""
    fine = [one for one in estimates if one.estimate.state is EstimateState.OK]
    seen = [one for one in estimates if one.quality.passes]
    potency = potency_ahead(_seconds(fine), [one.estimate.potency or 0.0 for one in fine[-FRAMES:]], culture)
    confluency = confluency_ahead(_seconds(seen), [one.quality.confluency for one in seen[-FRAMES:]], culture)
    last_at = estimates[-1].acquired_at.isoformat(timespec="seconds")
    return FlaskForecast(flask, last_at, potency, confluency)


def potency_ahead(seconds: Sequence[float], potency: Sequence[float], culture: CultureSettings) -> Forecast | None:
    """Return when single frames' potency crosses the floor; times in seconds, ascending, of assessable frames."""
    return crossing(_hours(seconds), potency[-FRAMES:], culture.potency_floor, falling=True)


def confluency_ahead(seconds: Sequence[float], shares: Sequence[float], culture: CultureSettings) -> Forecast | None:
    """Return when confluency crosses its goal; times in seconds, ascending, of frames that pass their quality check."""
    growth = [logit(share) for share in shares[-FRAMES:]]
    return crossing(_hours(seconds), growth, logit(culture.confluency_goal), falling=False)


def sentences(found: FlaskForecast, culture: CultureSettings) -> list[str]:
    """Return what can be said, in words."""
    told = []
    if found.potency is not None:
        told.append(found.potency.in_words(f"potency will cross the floor of {culture.potency_floor:.0f} %"))
    if found.confluency is not None:
        told.append(found.confluency.in_words(f"{100.0 * culture.confluency_goal:.0f} % confluent"))
    return told


def show_forecasts(folder: Path, flask: str | None, config: Path | None, *, as_json: bool) -> int:
    """Print the forecast of every flask, or of one.

    Raises
    ------
    SettingsError
        The folder holds no run, or the settings cannot be used.
    """
    state, record = opened(folder)
    culture = settings_of(state, config).culture
    with record:
        chosen = [name for name in record.flasks() if flask in (None, name)]
        histories = {name: record.estimates(name) for name in chosen}
    found = [forecast_of(name, history, culture) for name, history in histories.items() if history]
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1))
    else:
        newest = [history[-1] for history in histories.values() if history]
        warn_of_demo(Console(stderr=True), {one.provenance.potency_model for one in newest})
        for one in found:
            told = "; ".join(sentences(one, culture)) or "nothing can be said: no course that is steady enough"
            typer.echo(printable(f"{one.flask}: {told}"))
    return 0


def _seconds(estimates: Sequence[PotencyEstimated]) -> list[float]:
    return [one.acquired_at.timestamp() for one in estimates[-FRAMES:]]


def _hours(seconds: Sequence[float]) -> list[float]:
    last = seconds[-FRAMES:]
    return [(one - last[0]) / HOUR_S for one in last]
