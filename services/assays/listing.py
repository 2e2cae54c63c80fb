"""The command that shows what is recorded."""

import json
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from services.assays.facts import AssayResult, ModelRecalibrated
from services.assays.log import read_facts
from services.assays.standing import Course, Courses
from services.assays.words import models_of, say, sentence
from services.demo_model import warn_of_demo
from services.state_folder import recorded_state
from services.telemetry import printable


def list_command(folder: Path, flask: str | None, *, every: bool, as_json: bool) -> int:
    """Print results, each beside its estimate; with `every` the superseded and withdrawn ones as well."""
    console = Console()
    facts = read_facts(recorded_state(folder).assays)
    rows = [
        (course, result)
        for course in Courses(facts).by_subject.values()
        for result in course.results
        if flask in (None, result.flask) and (every or result is course.standing)
    ]
    if as_json:
        found = [_everything(course, result) for course, result in rows]
        recalibrations = [fact.model_dump(mode="json") for fact in facts if isinstance(fact, ModelRecalibrated)]
        say(console, json.dumps({"results": found, "recalibrations": recalibrations}, indent=1, allow_nan=False))
        return 0
    for course, result in rows:
        for line in _lines(course, result):
            say(console, line)
    say(console, f"{len(rows)} results" if rows else "no results are recorded here; `cellvigil assay add` records one")
    warn_of_demo(console, models_of(result for _, result in rows))
    return 0


def _lines(course: Course, result: AssayResult) -> Iterator[str]:
    state = course.state_of(result)
    yield f"{result.result_id[:12]}  {sentence(result)}{'' if state == 'counts' else f' ({state})'}"
    comment = f": {printable(result.comment)}" if result.comment else ""
    sampled = f"sampled {result.at:%Y-%m-%d %H:%M} UTC"
    yield f"    {sampled}, recorded {result.recorded_at:%Y-%m-%d %H:%M} UTC by {printable(result.by)}{comment}"
    if result.supersedes is not None:
        yield f"    in place of {result.supersedes[:12]}: {printable(result.reason)}"
    if state == "withdrawn" and course.withdrawn is not None:
        gone = course.withdrawn
        yield f"    withdrawn {gone.recorded_at:%Y-%m-%d %H:%M} UTC by {printable(gone.by)}: {printable(gone.reason)}"


def _everything(course: Course, result: AssayResult) -> dict[str, object]:
    withdrawn = course.withdrawn if course.state_of(result) == "withdrawn" else None
    return {
        **result.model_dump(mode="json"),
        "state": course.state_of(result),
        "inside": result.inside,
        "withdrawal": None if withdrawn is None else withdrawn.model_dump(mode="json"),
    }
