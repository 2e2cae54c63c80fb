"""What becomes of a result in the record: new, there already, a correction, or a contradiction that is refused."""

from dataclasses import dataclass

from monitor.errors import SettingsError
from services.assays.entry import Entry
from services.assays.facts import AssayResult, result_id_of
from services.assays.log import Writing
from services.assays.standing import Course, Courses


@dataclass(frozen=True, slots=True)
class Added:
    """One result after it was told: the row it has now, and whether that is new."""

    result: AssayResult
    new: bool
    note: str = ""


def record(writing: Writing, known: Courses, entry: Entry, result: AssayResult, correct: str | None) -> Added:
    """Add a result in an open transaction, or find that it is there, or what it would take the place of."""
    course = known.by_subject.get(result.subject)
    if course is None:
        _check_unit(known, entry, result)
        _check_time(known, entry, result)
        return _added(writing, known, result, "")
    last = course.results[-1]
    if result.value == last.value and course.withdrawn is None:
        return Added(last, new=False, note=" (recorded already)")
    if correct is None:
        if any(result.value == earlier.value for earlier in course.results):
            return Added(last, new=False, note=f" (stays: {_why_not(course, result.value)})")
        raise entry.error(_differs(result, last, course))
    _check_time(known, entry, result)
    # what foretold it is the same as before: a correction mends the result, never the prediction
    mended = result.model_copy(
        update={
            "result_id": result_id_of(result.subject, result.value, last.result_id),
            "link": last.link,
            "at": last.at,
            "supersedes": last.result_id,
            "reason": correct,
        }
    )
    return _added(writing, known, mended, f" (in place of {last.value:g})")


def _added(writing: Writing, known: Courses, result: AssayResult, note: str) -> Added:
    new = writing.add(result)
    known.take(result)
    return Added(result, new, note)


def _check_unit(known: Courses, entry: Entry, result: AssayResult) -> None:
    """Refuse a second unit of a biomarker for which the model has none."""
    for other in known.standing() if entry.unit else ():
        alike = other.biomarker == result.biomarker and _maker(other) == _maker(result)
        if alike and plain_unit(other.unit) != plain_unit(result.unit):
            message = (
                f"{result.biomarker} is told in {result.unit or 'no unit'}, flask {other.flask!r} has it in "
                f"{other.unit or 'none'}; convert the value"
            )
            raise entry.error(SettingsError(message, reason="unit"))


def _check_time(known: Courses, entry: Entry, result: AssayResult) -> None:
    """Refuse what looks like a recorded result that is told again, once with and once without its time."""
    for other in known.standing():
        same = (other.flask, other.biomarker, other.value) == (result.flask, result.biomarker, result.value)
        if same and other.whole != result.whole:
            had = "without a time" if other.whole else f"of {other.at:%Y-%m-%dT%H:%MZ}"
            message = (
                f"{result.biomarker} of flask {result.flask!r} is recorded as {other.value:g} already, {had}; tell it "
                f"in the same way, or first: cellvigil assay withdraw {other.result_id[:12]} --reason ..."
            )
            raise entry.error(SettingsError(message, reason="differs"))


def _maker(result: AssayResult) -> str:
    return result.link.provenance.potency_model


def _why_not(course: Course, value: float) -> str:
    if course.withdrawn is not None and value == course.results[-1].value:
        return f"it was withdrawn by {course.withdrawn.by}: {course.withdrawn.reason}; --correct records it again"
    last = course.results[-1]
    return f"{value:g} was corrected by {last.by}: {last.reason}"


def _differs(result: AssayResult, last: AssayResult, course: Course) -> SettingsError:
    unit = f" {last.unit}" if last.unit else ""
    when = "as it was last seen" if last.whole else f"of {last.at:%Y-%m-%d %H:%M} UTC"
    state = "withdrawn" if course.withdrawn else "recorded"
    message = (
        f"{result.biomarker} of flask {result.flask!r} {when} is {state} as {last.value:g}{unit} by {last.by}, and "
        f"this is {result.value:g}; average replicates, give the time of another sample with --at, or replace it with "
        "--correct REASON"
    )
    return SettingsError(message, reason="differs")


def plain_unit(unit: str) -> str:
    """Return a unit as it is compared.

    >>> plain_unit("µg / mL") == plain_unit("ug/ml")
    True
    """
    return "".join(unit.replace("µ", "u").replace("μ", "u").replace("L", "l").split())
