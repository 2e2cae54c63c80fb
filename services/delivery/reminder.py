"""What is told without a new event: alarms that nobody has acknowledged, again and again, and a daily test."""

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta

from monitor.culture.alarms import ITSELF, event_id_of
from monitor.culture.rules import RULES, UPSTREAM
from monitor.culture.standing import AlarmStanding
from monitor.messages import AlarmChanged, AlarmState, AlarmStatus, Channel
from services.delivery.outbox import Outbox

REMINDED_OF = (AlarmStatus.UNACKNOWLEDGED, AlarmStatus.LATCHED)
HOUR_S = 3600.0


def reminders(
    standings: Sequence[AlarmStanding], outbox: Outbox, repeat_s: float, now: datetime
) -> Iterator[AlarmChanged]:
    """Yield what is to be told again: alarms that were told `repeat_s`, twice that, ... ago and are unacknowledged.

    A flask whose upper channels are in trouble is not reminded of the lower ones: those say nothing until it is mended.
    """
    in_trouble = {(standing.flask, standing.channel) for standing in standings if standing.status in REMINDED_OF}
    for standing in standings:
        raised = standing.raised
        if raised is None or standing.status not in REMINDED_OF:
            continue
        if any((standing.flask, above) in in_trouble for above in UPSTREAM.get(standing.channel, ())):
            continue
        told_at = outbox.told_at(raised.event_id)
        times = 0 if told_at is None else int((now - told_at).total_seconds() // repeat_s)
        if told_at is not None and times > 0:
            hours = (now - told_at).total_seconds() / HOUR_S
            yield raised.model_copy(
                update={
                    "event_id": event_id_of(raised.event_id, AlarmState.REMINDED, str(times)),
                    "state": AlarmState.REMINDED,
                    "status": standing.status,
                    "cause": f"nobody has acknowledged it for {hours:.1f} h: {raised.cause}",
                }
            )


def daily_test(test_at: time, since: datetime, now: datetime) -> AlarmChanged | None:
    """Return the test alarm of the day when its time has come since `since`, else None; times are UTC."""
    due = datetime.combine(now.date(), test_at, tzinfo=now.tzinfo)
    if due > now:
        due -= timedelta(days=1)
    if due < since:
        return None
    rule = RULES[Channel.DELIVERY]
    event_id = event_id_of(Channel.DELIVERY, AlarmState.TESTED, due.isoformat())
    return AlarmChanged(
        event_id=event_id,
        alarm_id=event_id,
        flask=ITSELF,
        channel=Channel.DELIVERY,
        state=AlarmState.TESTED,
        at=due,
        frame_id=None,
        estimated_onset_at=due,
        priority=rule.priority,
        cause="daily test: alarms reach you this way",
        action=rule.action,
        status=AlarmStatus.NORMAL,
    )
