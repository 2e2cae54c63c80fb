"""What the alarms will cost, and whether their audit log is whole."""

from collections.abc import Iterator

from monitor.errors import CellvigilError
from services.doctor.check import Check, ok, problem
from services.settings import Settings
from services.state_folder import StateFolder


def check_alarms(settings: Settings) -> Iterator[Check]:
    """Yield the price of the false-alarm budget in one sentence."""
    from monitor.drift.limits import limit_for, price_of  # loads scipy

    budget, reference_k = settings.culture.false_alarms, settings.culture.cusum_reference_k
    price = price_of(reference_k, limit_for(budget.frames_between, reference_k))
    allowed = (
        f"{budget.alarms:g} false potency alarm{'' if budget.alarms == 1.0 else 's'} in {budget.days:g} days over "
        f"{budget.flasks} flask{'' if budget.flasks == 1 else 's'}"
    )
    yield ok("alarms", f"{allowed}: {price.in_words(budget.frame_interval_s)}")


def check_audit(settings: Settings) -> Iterator[Check]:
    """Yield whether the audit log of the state folder fits together; nothing where there is none yet."""
    from services.store.audit import broken_at
    from services.store.record_sqlite import SqliteRecord

    file = StateFolder(settings.state).record
    if not file.is_file():
        return
    try:
        with SqliteRecord(file, readonly=True) as record:
            lines = list(record.audit_lines())
    except CellvigilError as error:
        yield problem("audit", f"the audit log cannot be read: {error}", f"look at {file}; restore it from a backup")
        return
    if not lines:
        return
    broken = broken_at(lines)
    if broken is None:
        sealed = f"the newest is {lines[-1].hash[:16]}"
        yield ok("audit", f"{len(lines)} lines of the audit log fit together; {sealed}")
        return
    mend = "somebody changed the record by hand; restore it from a backup and compare the lines from there on"
    yield problem("audit", f"line {broken} of the audit log does not fit the one before it", mend)
