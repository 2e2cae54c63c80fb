"""One flask as a file that needs nothing else: plots, alarms, assays, settings, digests, and what the audit log says.

It opens in any browser, years later and without cellvigil, and prints from there; the same pages come as PDF where the
library for that is installed.
"""

import base64
import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from statistics import mean
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from monitor import __version__
from services.dashboard import pdf
from services.dashboard.columns import Columns
from services.dashboard.content import Content
from services.dashboard.drawing import Band, Chart, Line, Mark, draw
from services.dashboard.endpoint import PageRequest
from services.dashboard.lists import AuditWanted, audit_lines
from services.dashboard.pages import known_flask
from services.dashboard.reasons import sentence_of
from services.dashboard.rendering import TEMPLATES
from services.dashboard.schemas import CourseResponse, SeriesResponse
from services.dashboard.series import SeriesWanted, series_of
from services.state_folder import StateFolder
from services.store.record_view import viewed_record

WIDTH_PX = 820
AUDIT_MOST = 200
BLUE, GREY, GREEN, AMBER, RED = "#1b5fa8", "#8a8a8a", "#2d7d46", "#a86500", "#b3261e"
COLOUR_OF = {"high": RED, "medium": AMBER, "low": GREY}


def flask_report(request: PageRequest) -> Content:
    """Return a flask's report as one HTML file; a browser prints it, also to PDF."""
    flask, page = known_flask(request), request.page
    wanted: SeriesWanted = request.params.model_copy(update={"width": WIDTH_PX, "names": None})
    answer = series_of(page, flask, wanted)
    first_t = wanted.from_ if wanted.from_ is not None else answer.first_t
    last_t = wanted.to if wanted.to is not None else answer.last_t
    charts = [] if first_t is None or last_t is None else [draw(one, first_t, last_t) for one in _charts(answer)]
    with page.hub.readings.lock:
        reasons = Counter(reason for reason in (page.hub.readings.columns(flask) or Columns()).reasons)
    settings = page.settings.model_dump(mode="json", include={"watch", "predictor", "segmenter", "culture"})
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    context = {
        "flask": flask,
        "made_at": datetime.now(UTC),
        "made_by": request.visitor.name,
        "code_version": __version__,
        "style": Markup(style),
        "charts": [Markup(chart) for chart in charts],
        "answer": answer,
        "moment": _moment,
        "counts": {"ok": reasons.pop(None, 0), **{sentence_of(str(one)): count for one, count in reasons.items()}},
        "provenance": made_by(page.state, flask),
        "settings": json.dumps(settings, indent=1),
        "settings_digest": page.settings.digest,
        "audit": audit_lines(page, AuditWanted(flask=flask, limit=AUDIT_MOST)),
    }
    body = page.rendering.page("report.html", {"user": None, "csrf": "", "note": page.note, **context})
    policy = f"default-src 'none'; style-src {_allowed(style)}; base-uri 'none'; form-action 'none'"
    headers = {"Content-Security-Policy": policy, "Content-Disposition": f"inline; {_file_named(flask, 'html')}"}
    return Content(body, headers=headers)


def flask_pdf(request: PageRequest) -> Content:
    """Return a flask's report as PDF; 409 `no_pdf` where the extra `pdf` is not installed."""
    html = flask_report(request).body.decode("utf-8")
    headers = {"Content-Disposition": f"attachment; {_file_named(request.path['flask'], 'pdf')}"}
    return Content(request.page.measurer.pdf(html), pdf.MEDIA, headers=headers)


def made_by(state: StateFolder, flask: str) -> list[dict[str, Any]]:
    """Return what made the flask's estimates: each set of versions and digests with its number of frames and times."""
    with viewed_record(state.record) as record:
        found = [] if record is None else record.provenances(flask)
    return [
        {"frames": count, "first": first[:16], "last": last[:16], "made": made} for made, count, first, last in found
    ]


def _charts(answer: SeriesResponse) -> list[Chart]:
    potency, frames = newest_per_time(answer.series["potency"]), answer.series["potency_frame"]
    lines = [Line(frames.t, frames.v, GREY, "single frames", 2.2, dots=True), _line(potency, BLUE, "rolling")]
    if answer.baseline is not None:
        usual = newest_per_time(CourseResponse(t=answer.baseline.t, v=answer.baseline.v))
        lines.append(Line(usual.t, usual.v, GREEN, "usual", 1.2, "5 3"))
    marks = [Mark(one.raised_at, COLOUR_OF.get(one.priority, GREY), one.channel) for one in answer.alarms]
    bands = [] if potency.low is None or potency.high is None else [Band(potency.t, potency.low, potency.high, BLUE)]
    charts = [
        Chart(
            "Potency, % of the reference lot",
            lines,
            bands,
            [(answer.floor, RED, f"floor {answer.floor:g} %")],
            marks,
            320,
        )
    ]
    if answer.cusum is not None:
        evidence = newest_per_time(CourseResponse(t=answer.cusum.t, v=answer.cusum.v))
        cusum = Line(evidence.t, evidence.v, AMBER, answer.cusum.detector)
        limit = [(answer.cusum.limit, RED, f"limit {answer.cusum.limit:g}")]
        charts.append(Chart("Potency detector, deviations of a frame", [cusum], levels=limit, height=160))
    for name in ("confluency", "cells", "focus", "illumination", "doubt"):
        told = answer.names[name]
        unit = "" if told.unit in ("1", "cells") else f", {told.unit}"
        course = mean_per_time(answer.series[name])
        charts.append(Chart(f"{told.label.capitalize()}{unit}", [_line(course, BLUE, "")], height=150))
    return charts


def newest_per_time(course: CourseResponse) -> CourseResponse:
    """Return one value per time, where several positions were taken at once: the last, which has seen the others."""
    places = [place for place, t in enumerate(course.t) if place + 1 == len(course.t) or course.t[place + 1] != t]
    of = [None if side is None else [side[place] for place in places] for side in (course.low, course.high)]
    return CourseResponse(
        t=[course.t[place] for place in places], v=[course.v[place] for place in places], low=of[0], high=of[1]
    )


def mean_per_time(course: CourseResponse) -> CourseResponse:
    """Return one value per time, where several positions were taken at once: the mean of those that have one."""
    values: dict[float, list[float]] = {t: [] for t in course.t}
    for t, value in zip(course.t, course.v, strict=True):
        if value is not None:
            values[t].append(value)
    return CourseResponse(t=list(values), v=[mean(found) if found else None for found in values.values()])


def _line(course: CourseResponse, colour: str, label: str) -> Line:
    return Line(course.t, course.v, colour, label)


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _file_named(flask: str, suffix: str) -> str:
    return f"filename*=UTF-8''{quote(f'cellvigil {flask}.{suffix}', safe='')}"


def _allowed(style: str) -> str:
    digest = hashlib.sha256(style.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
