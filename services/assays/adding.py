"""The commands that write down results: linked to what foretold them, once each, corrected by a row of its own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from monitor.errors import SettingsError
from services.assays.entry import Entry
from services.assays.facts import AssayResult, AssayWithdrawn, result_id_of
from services.assays.linking import Histories, UnknownFlask, link
from services.assays.log import AssayLog
from services.assays.models import KnownModels, UnknownBiomarker
from services.assays.recording import plain_unit, record
from services.assays.standing import Courses
from services.assays.words import models_of, say, sentence
from services.demo_model import warn_of_demo
from services.settings import Settings, settings_of
from services.state_folder import recorded_state
from services.store.record import Record
from services.store.record_sqlite import SqliteRecord


@dataclass(frozen=True, slots=True)
class Options:
    """How results are taken.

    models: folders of models besides the configured one; within: how much older than the result its newest frame may
    be; correct: why results that differ from those recorded take their place, None where they must not;
    skip_unknown: leave aside what this state folder or its model does not know.
    """

    models: tuple[Path, ...] = ()
    within: timedelta = timedelta(hours=24)
    correct: str | None = None
    skip_unknown: bool = False


def add_command(folder: Path, entries: Sequence[Entry], options: Options, notes: Sequence[str] = ()) -> int:
    """Record results, all of them or none; print what each was foretold as."""
    console = Console()
    state = recorded_state(folder)
    if options.correct is not None and not options.correct.strip():
        message = "--correct needs the reason of the correction, as in --correct 'dilution was wrong'"
        raise SettingsError(message, reason="reason")
    with SqliteRecord(state.record, readonly=True) as frames:
        linked, skipped = _linked(frames, settings_of(state), entries, options)
    with AssayLog(state.assays) as log, log.writing() as writing:
        known = Courses(writing.facts)
        added = [record(writing, known, entry, result, options.correct) for entry, result in linked]
    for note in (*notes, *skipped):
        say(console, note)
    for one in added:
        say(console, sentence(one.result) + one.note)
    new = sum(one.new for one in added)
    say(console, f"{new} recorded, {len(added) - new} there already")
    warn_of_demo(console, models_of(one.result for one in added))
    return 0


def withdraw_command(folder: Path, beginning: str, by: str, reason: str) -> int:
    """Note that a result counts no longer; it stays in the record."""
    state = recorded_state(folder)
    if not reason.strip():
        message = "--reason is empty; say why the result counts no longer"
        raise SettingsError(message, reason="reason")
    with AssayLog(state.assays) as log, log.writing() as writing:
        known = Courses(writing.facts).by_subject.values()
        found = [(c, r) for c in known for r in c.results if r.result_id.startswith(beginning)]
        if len(found) != 1 or not beginning:
            what = f"{len(found)} results begin" if found else "no result begins"
            message = f"{what} with {beginning!r}; `cellvigil assay list` shows them"
            raise SettingsError(message, reason="result")
        course, result = found[0]
        if result is not course.results[-1]:
            message = f"{beginning!r} was corrected already; withdraw {course.results[-1].result_id[:12]} instead"
            raise SettingsError(message, reason="result")
        withdrawal = AssayWithdrawn(withdraws=result.result_id, by=by, recorded_at=_now(), reason=reason)
        new = course.withdrawn is None and writing.add(withdrawal)
    say(Console(), f"{'withdrawn' if new else 'was withdrawn before'}: {sentence(result)}")
    return 0


def _linked(
    frames: Record, settings: Settings, entries: Sequence[Entry], options: Options
) -> tuple[list[tuple[Entry, AssayResult]], list[str]]:
    histories = Histories(frames, settings.culture)
    models = KnownModels(options.models, settings.predictor.model)
    linked: list[tuple[Entry, AssayResult]] = []
    skipped: Counter[str] = Counter()
    now = _now()
    for entry in entries:
        try:
            linked.append((entry, _result(histories, models, entry, options, now)))
        except (UnknownFlask, UnknownBiomarker) as error:
            if not options.skip_unknown:
                more = " (--skip-unknown leaves such results aside)" if entry.where else ""
                raise entry.error(type(error)(f"{error}{more}", reason=error.reason)) from error
            skipped[f"flask {entry.flask}" if error.reason == "flask" else f"biomarker {entry.biomarker}"] += 1
        except SettingsError as error:
            raise entry.error(error) from error
    return linked, [f"left aside: {count} results of {what}, unknown here" for what, count in skipped.items()]


def _result(histories: Histories, models: KnownModels, entry: Entry, options: Options, now: datetime) -> AssayResult:
    moment = histories.moment(entry.flask, entry.at, options.within)
    model = models.of(moment.newest.provenance.potency_model, entry.flask)
    spec = model.biomarker(entry.biomarker)
    if entry.unit is not None and plain_unit(entry.unit) != plain_unit(spec.unit) and spec.unit:
        message = f"{entry.biomarker} is told in {entry.unit}, the model gives it in {spec.unit}; convert the value"
        raise SettingsError(message, reason="unit")
    subject = (entry.flask, entry.biomarker, "" if entry.at is None else moment.at.isoformat())
    return AssayResult(
        result_id=result_id_of(subject, entry.value, None),
        flask=entry.flask,
        biomarker=entry.biomarker,
        value=entry.value,
        unit=spec.unit or entry.unit or "",
        at=moment.at,
        whole=entry.at is None,
        link=link(moment, model, entry.biomarker),
        by=entry.by,
        recorded_at=now,
        comment=entry.comment,
        source=entry.source,
    )


def _now() -> datetime:
    return datetime.now(UTC)
