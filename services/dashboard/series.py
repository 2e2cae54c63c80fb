"""A flask's course over any time, in as many points as there are pixels."""

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from monitor.culture.forecast import Forecast
from monitor.culture.settings import CultureSettings
from monitor.errors import SettingsError
from monitor.messages import AlarmChanged, AlarmState
from services.alarms.forecasting import confluency_ahead, potency_ahead
from services.assays.log import read_facts
from services.assays.standing import Courses as AssayCourses
from services.dashboard.columns import Columns
from services.dashboard.courses import Trace
from services.dashboard.endpoint import PageRequest, RequestParams
from services.dashboard.errors import Unprocessable
from services.dashboard.installation import Installation
from services.dashboard.pages import known_flask
from services.dashboard.quantities import QUANTITIES, Quantity
from services.dashboard.schemas import (
    AlarmSpan,
    AssayPoint,
    Baseline,
    CourseResponse,
    Cusum,
    ForecastLine,
    Forecasts,
    SeriesResponse,
)
from services.dashboard.thinning import kept, rounded
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord

Vector = NDArray[np.float64]
WIDTH_MOST = 4000
HOUR_S = 3600.0
YEAR_3000 = 32_503_680_000.0


def _seconds(given: object) -> object:
    """Take a moment as seconds since 1970 or as ISO 8601."""
    if not isinstance(given, str):
        return given
    try:
        return float(given)
    except ValueError:
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is None:
            raise ValueError("a moment needs its zone: 2026-03-10T12:00:00Z") from None
        return moment.timestamp()


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=-YEAR_3000, le=YEAR_3000, allow_inf_nan=False)]


class SeriesWanted(RequestParams):
    """Which part of a course: from, to in seconds since 1970 or ISO 8601; width in pixels; names, comma between."""

    from_: Annotated[Seconds | None, Field(alias="from")] = None
    to: Seconds | None = None
    width: Annotated[int, Field(ge=10, le=WIDTH_MOST)] = 1000
    names: Annotated[str | None, Field(max_length=500)] = None


def series(request: PageRequest) -> SeriesResponse:
    """Return a flask's quantities with intervals, what is usual, detector, forecasts, alarms and assays."""
    return series_of(request.page, known_flask(request), request.params)


def series_of(page: Installation, flask: str, wanted: SeriesWanted) -> SeriesResponse:
    """Return a flask's course."""
    chosen = _chosen(wanted.names)
    trace = page.hub.courses.of(flask)
    with page.hub.readings.lock:
        columns = page.hub.readings.columns(flask) or Columns()
        t = columns.column("t")
        part = _part(t, wanted)
        lines = {name: _course(columns, part, quantity, wanted.width) for name, quantity in chosen.items()}
        forecast = forecasts_of(columns, page.settings.culture)
        first_t, last_t = (float(t[0]), float(t[-1])) if len(t) else (None, None)
    culture = page.settings.culture
    return SeriesResponse(
        flask=flask,
        names={name: quantity.shape for name, quantity in chosen.items()},
        series=lines,
        from_t=wanted.from_,
        to_t=wanted.to,
        first_t=first_t,
        last_t=last_t,
        points=part.stop - part.start,
        baseline=None if trace is None else _baseline(trace, wanted),
        limit=None if trace is None or trace.grows_below is None else round(trace.grows_below, 2),
        floor=culture.potency_floor,
        confluency_goal=culture.confluency_goal,
        cusum=None if trace is None else _cusum(trace, wanted),
        forecast=forecast,
        alarms=alarm_spans(page.state, flask),
        assays=assay_points(page.state, flask),
    )


def forecasts_of(columns: Columns, culture: CultureSettings) -> Forecasts | None:
    """Return what is ahead of a flask from its columns, as `cellvigil forecast` says it; None without frames."""
    t = columns.column("t")
    if not len(t):
        return None
    potency, shares = columns.column("potency"), columns.column("confluency")
    fine, seen = np.flatnonzero(~np.isnan(potency)), np.flatnonzero(columns.column("passes") == 1.0)
    fall = potency_ahead(t[fine].tolist(), potency[fine].tolist(), culture)
    growth = confluency_ahead(t[seen].tolist(), shares[seen].tolist(), culture)
    words = f"potency will cross the floor of {culture.potency_floor:.0f} %"
    goal = f"{100.0 * culture.confluency_goal:.0f} % confluent"
    return Forecasts(
        potency=fall and _ahead(fall, words, t[fine[-1]], columns.column("rolling")[fine[-1]], culture.potency_floor),
        confluency=growth and _ahead(growth, goal, t[seen[-1]], shares[seen[-1]], culture.confluency_goal),
    )


def alarm_spans(state: StateFolder, flask: str) -> list[AlarmSpan]:
    """Return every alarm of a flask that was raised and not taken back since, oldest first."""
    if not state.record.is_file():
        return []
    with SqliteRecord(state.record, readonly=True) as record:
        events = record.alarms(flask)
    by_alarm: dict[str, list[AlarmChanged]] = defaultdict(list)
    for event in events:
        by_alarm[event.alarm_id].append(event)
    spans = []
    for alarm_id, found in by_alarm.items():
        raised = [event for event in found if event.state is AlarmState.RAISED]
        if raised:
            first = raised[0]
            spans.append(
                AlarmSpan(
                    alarm_id=alarm_id,
                    channel=first.channel.value,
                    priority=first.priority,
                    cause=raised[-1].cause,
                    onset_at=first.estimated_onset_at.timestamp(),
                    raised_at=first.at.timestamp(),
                    acknowledged_at=_last(found, AlarmState.ACKNOWLEDGED, first.at),
                    cleared_at=_last(found, AlarmState.CLEARED, raised[-1].at),
                )
            )
    return spans


def assay_points(state: StateFolder, flask: str) -> list[AssayPoint]:
    """Return the laboratory's results of a flask that count; none where their record cannot be used."""
    try:
        facts = read_facts(state.assays)
    except SettingsError:  # `cellvigil assay list` says what is wrong with it
        return []
    return [
        AssayPoint(
            at=result.at.timestamp(),
            biomarker=result.biomarker,
            value=result.value,
            unit=result.unit,
            low=result.link.low,
            estimate=result.link.estimate,
            high=result.link.high,
            entry_id=result.result_id,
        )
        for result in AssayCourses(facts).standing()
        if result.flask == flask
    ]


def _last(events: Sequence[AlarmChanged], state: AlarmState, since: datetime) -> float | None:
    times = [event.at for event in events if event.state is state and event.at >= since]
    return times[-1].timestamp() if times else None


def _chosen(names: str | None) -> dict[str, Quantity]:
    wanted = list(QUANTITIES) if not names else list(dict.fromkeys(names.split(",")))
    unknown = [name for name in wanted if name not in QUANTITIES]
    if unknown:
        message = f"there is no series {unknown[0][:50]!r}; choose among {', '.join(QUANTITIES)}"
        raise Unprocessable(message, reason="no_series")
    return {name: QUANTITIES[name] for name in wanted}


def _part(t: Vector, wanted: SeriesWanted) -> slice:
    """Return the places within the range, and one beside each end so that lines reach the edge."""
    if not len(t):
        return slice(0, 0)
    first = 0 if wanted.from_ is None else max(0, int(np.searchsorted(t, wanted.from_, "left")) - 1)
    last = len(t) if wanted.to is None else min(len(t), int(np.searchsorted(t, wanted.to, "right")) + 1)
    return slice(first, max(first, last))


def _course(columns: Columns, part: slice, quantity: Quantity, width: int) -> CourseResponse:
    t = columns.column("t")[part]
    if not len(t):
        return CourseResponse(t=[], v=[])
    lines = [columns.column(name)[part] for name in quantity.columns]
    places = kept(t, lines, width)
    numbers = [rounded(line[places], quantity.digits) for line in lines]
    times = np.round(t[places], 3).tolist()
    return CourseResponse(
        t=times, v=numbers[0], low=numbers[1] if len(lines) > 1 else None, high=numbers[-1] if len(lines) > 1 else None
    )


def _baseline(trace: Trace, wanted: SeriesWanted) -> Baseline:
    part = _part(trace.t, wanted)
    t, centre, sd = trace.t[part], trace.centre[part], trace.sd[part]
    places = kept(t, [centre], wanted.width // 2) if len(t) else np.arange(0)
    t, centre, sd = t[places], centre[places], sd[places]
    return Baseline(
        t=np.round(t, 3).tolist(),
        v=rounded(centre, 2),
        low=rounded(centre - sd, 2),
        high=rounded(centre + sd, 2),
        provisional=trace.provisional,
    )


def _cusum(trace: Trace, wanted: SeriesWanted) -> Cusum:
    part = _part(trace.t, wanted)
    t, statistic = trace.t[part], trace.statistic[part]
    places = kept(t, [statistic], wanted.width) if len(t) else np.arange(0)
    return Cusum(
        t=np.round(t[places], 3).tolist(),
        v=rounded(statistic[places]),
        limit=round(trace.limit, 3),
        detector=trace.detector,
    )


def _ahead(found: Forecast, words: str, from_t: float, from_v: float, goal: float) -> ForecastLine:
    value = goal if math.isnan(from_v) else float(from_v)
    low_t, likely_t, high_t = (round(from_t + hours * HOUR_S, 1) for hours in (found.low, found.hours, found.high))
    return ForecastLine(
        words=found.in_words(words),
        from_t=float(from_t),
        from_v=round(value, 4),
        goal=goal,
        t=likely_t,
        low_t=low_t,
        high_t=high_t,
    )
