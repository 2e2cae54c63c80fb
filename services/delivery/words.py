"""A notification as people read it: a subject of one line, and a text that says what to do and by when."""

from datetime import UTC, datetime

from monitor.messages import AlarmChanged, AlarmState
from services.delivery.receiver import Notice, changes_of
from services.telemetry import printable

URGENCY = ("high", "medium", "low")
TOLD_AGAIN = (AlarmState.RAISED, AlarmState.REMINDED)
SUBJECT_MOST = 150


def subject_of(notice: Notice) -> str:
    """Return the subject: the change, or how many of which urgency."""
    changes = changes_of(notice)
    if len(changes) == 1:
        (one,) = changes
        urgency = f" ({one.priority})" if one.state in TOLD_AGAIN else ""
        subject = f"{one.flask}: {one.channel} {one.state.replace('_', ' ')}{urgency}"
    else:
        raised = [change for change in changes if change.state in TOLD_AGAIN]
        worst = min((change.priority for change in raised), key=URGENCY.index, default="")
        subject = f"{len(changes)} changes, {len(raised)} alarms raised" + (f", up to {worst}" if worst else "")
    return printable(f"[cellvigil] {subject}")[:SUBJECT_MOST]


def text_of(notice: Notice) -> str:
    """Return the text: a paragraph per change, urgent ones first where there are several."""
    changes = sorted(changes_of(notice), key=lambda change: (change.state not in TOLD_AGAIN, _rank(change)))
    return "\n\n".join(_paragraph(change) for change in changes) + "\n"


def _rank(change: AlarmChanged) -> int:
    return URGENCY.index(change.priority)


def _paragraph(change: AlarmChanged) -> str:
    lines = [f"{change.flask}: {change.channel} {change.state.replace('_', ' ')} at {_time(change.at)}", change.cause]
    if change.state in TOLD_AGAIN:
        lines.append(f"since {_time(change.estimated_onset_at)}, priority {change.priority}")
        lines += [f"if nothing is done: {change.consequence}"] if change.consequence else []
        lines.append(f"do: {change.action}" + (f", by {_time(change.respond_by)}" if change.respond_by else ""))
    return "\n".join(printable(line) for line in lines)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
