"""Alarms on the page: what stands, what was, which come too often, and what an operator does about one."""

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from monitor.culture.rules import rules_by_channel
from monitor.culture.standing import AlarmStanding
from monitor.messages import MACHINE, AlarmChanged, AlarmStatus, Channel, OperatorAction
from services.alarms.acting import UNSEEN, Wish, perform, possible
from services.alarms.explanation import words_of
from services.alarms.listing import DeliveryLine, by_urgency, line_of, told, urgency_of, waiting_for
from services.dashboard.cursors import Paged, cursor_at, place_at
from services.dashboard.endpoint import PageRequest, RequestParams
from services.dashboard.errors import Conflict, NotFound
from services.dashboard.installation import Installation
from services.dashboard.schemas import (
    Acted,
    AlarmEvent,
    AlarmItem,
    AlarmPage,
    AlarmWords,
    BadActor,
    BadActors,
    HistoryPage,
    ToldLine,
)
from services.dashboard.tiles import open_of, unseen_of
from services.store.record_flask import sortable
from services.store.record_sqlite import SqliteRecord
from services.store.record_view import alarm_place, viewed_record

WAIT_S = 3.0
"""How long an action is waited for: a predictor takes it in within two seconds where everything runs."""


class AlarmsWanted(Paged):
    """state: unseen, open, suppressed or all; open ones where it is not said."""

    state: Annotated[str, Field(pattern="^(unseen|open|suppressed|all)$")] = "open"
    flask: Annotated[str | None, Field(max_length=200)] = None


class HistoryWanted(Paged):
    """Of a flask and a channel, or of all."""

    flask: Annotated[str | None, Field(max_length=200)] = None
    channel: Channel | None = None


class DaysWanted(RequestParams):
    """How far back, in days of the culture's clock."""

    days: Annotated[float, Field(gt=0.0, le=3650.0)] = 7.0


class Comment(RequestParams):
    """Why; it is kept in the audit log."""

    comment: Annotated[str, Field(max_length=1000)] = ""


class Shelving(Comment):
    """Why, and for how many hours."""

    hours: Annotated[float, Field(ge=0.01, le=168.0)] = 4.0


def alarm_list(request: PageRequest) -> AlarmPage:
    """Return the alarms that are not normal, unseen and urgent ones first."""
    page, wanted = request.page, request.params
    standings = page.hub.readings.all_standings()
    chosen = by_urgency(one for one in standings if _fits(one, wanted))
    last = None if wanted.cursor is None else place_at(wanted.cursor, 5)
    left = chosen if last is None else [one for one in chosen if _place_of(one) > last]
    shown = left[: wanted.limit]
    return AlarmPage(
        now=page.clock.now(),
        items=_items(page, shown),
        next=cursor_at(_place_of(shown[-1])) if len(left) > len(shown) else None,
        open_alarms=open_of(standings),
        unseen_alarms=unseen_of(standings),
        suppressed=sum(one.status is AlarmStatus.SUPPRESSED for one in standings),
    )


def alarm_words(request: PageRequest) -> AlarmWords:
    """Return what an alarm is about, for somebody who is woken by it."""
    page, (flask, channel) = request.page, _place(request)
    with SqliteRecord(page.state.record, readonly=True) as record:
        standings = [one for one in record.standings() if one.flask == flask]
        meant = next((one for one in standings if one.channel is channel), None)
        if meant is None:
            raise NotFound(f"the {channel} alarm of {flask} is normal: there is nothing to say", reason="no_alarm")
        words = words_of(meant, standings, record, page.settings)
    words["told"] = "; ".join(f"{one.receiver} {one.state}" for one in told(page.state, meant)) or "nobody yet"
    return AlarmWords(flask=flask, channel=channel.value, words=words)


def alarm_history(request: PageRequest) -> HistoryPage:
    """Return what happened to alarms, newest first; what turned out not to be so is left out."""
    wanted = request.params
    last = None if wanted.cursor is None else place_at(wanted.cursor, 2)
    with viewed_record(request.page.state.record) as record:
        events = (
            []
            if record is None
            else record.alarms_before(last, wanted.limit + 1, flask=wanted.flask, channel=wanted.channel)
        )
    shown = events[: wanted.limit]
    more = cursor_at(alarm_place(shown[-1])) if len(events) > len(shown) else None
    return HistoryPage(items=[_event(event) for event in shown], next=more)


def bad_actors(request: PageRequest) -> BadActors:
    """Return which alarms came most often in the last days: candidates for a remedy, or for other limits."""
    since = request.page.clock.now() - timedelta(days=request.params.days)
    with viewed_record(request.page.state.record) as record:
        found = [] if record is None else record.alarms_raised(since)
    places: dict[tuple[str, str], list[AlarmChanged]] = defaultdict(list)
    for event in found:
        places[event.flask, event.channel.value].append(event)
    items = [
        BadActor(
            flask=flask,
            channel=channel,
            raised=len(events),
            share=round(len(events) / len(found), 4),
            last_at=max(event.at for event in events),
        )
        for (flask, channel), events in places.items()
    ]
    items.sort(key=lambda item: (-item.raised, item.flask, item.channel))
    return BadActors(days=request.params.days, raised=len(found), items=items)


def acting(action: OperatorAction) -> Callable[[PageRequest], Acted]:
    """Return what an operator's action does; its name is that of the path."""

    def act(request: PageRequest) -> Acted:
        page, (flask, channel) = request.page, _place(request)
        hours = getattr(request.params, "hours", None)
        wish = Wish(action, flask, channel.value, request.visitor.name or "", request.params.comment, hours)
        done = perform(page.state.root, wish, WAIT_S)
        if done.acted is None:
            raise Conflict(f"{flask} {channel}: {done.note}", reason="nothing_to_do")
        with SqliteRecord(page.state.record, readonly=True) as record:
            stands = {(one.flask, one.channel): one.status for one in record.standings()}
        return Acted(
            flask=flask,
            channel=channel.value,
            action=action.value,
            by=wish.by,
            until=done.acted.until,
            taken_in=done.taken_in,
            status=stands.get((flask, channel), AlarmStatus.NORMAL).value,
            note=done.note,
        )

    act.__name__ = action.value
    act.__doc__ = f"{SUMMARIES[action]}"
    return act


SUMMARIES = {
    OperatorAction.ACKNOWLEDGE: "Say that you know of an alarm and see to it.",
    OperatorAction.SHELVE: "Put an alarm aside for some hours.",
    OperatorAction.UNSHELVE: "Take an alarm back from the shelf.",
    OperatorAction.OUT_OF_SERVICE: "Take an alarm out of service until it is brought back.",
    OperatorAction.IN_SERVICE: "Bring an alarm back into service.",
}


def _place(request: PageRequest) -> tuple[str, Channel]:
    """Return flask and channel of a path.

    Raises
    ------
    NotFound
        There is no such flask or channel.
    """
    flask, name = request.path["flask"], request.path["channel"]
    if flask != MACHINE and flask not in request.page.hub.readings.flasks():
        raise NotFound(f"there is no flask {flask[:200]!r} here", reason="no_flask")
    if name not in list(Channel):
        raise NotFound(f"there is no channel {name[:50]!r}; choose among {', '.join(Channel)}", reason="no_channel")
    return flask, Channel(name)


def _place_of(standing: AlarmStanding) -> list[str]:
    """Return where an alarm stands in the list, as texts whose order is that of the list."""
    seen, urgency, since, flask, channel = urgency_of(standing)
    return [f"{seen:d}", f"{urgency:02}", sortable(since), flask, channel]


def _fits(standing: AlarmStanding, wanted: AlarmsWanted) -> bool:
    if wanted.flask not in (None, standing.flask):
        return False
    match wanted.state:
        case "unseen":
            return standing.status in UNSEEN
        case "suppressed":
            return standing.status is AlarmStatus.SUPPRESSED
        case "open":
            return standing.status is not AlarmStatus.SUPPRESSED
    return True


def _items(page: Installation, standings: list[AlarmStanding]) -> list[AlarmItem]:
    if not standings:
        return []
    with SqliteRecord(page.state.record, readonly=True) as record:
        actions = record.waiting_actions()
    return [_item(page, one, told(page.state, one), waiting_for(one, actions)) for one in standings]


def _item(
    page: Installation, standing: AlarmStanding, letters: list[DeliveryLine], waiting: tuple[str, ...]
) -> AlarmItem:
    line, raised = line_of(standing), standing.raised
    rule = rules_by_channel(page.settings.culture.rules).get(standing.channel)
    return AlarmItem(
        flask=line.flask,
        channel=line.channel,
        status=line.status,
        unseen=standing.status in UNSEEN,
        priority=line.priority or (rule.priority if rule else ""),
        since=standing.since,
        by=line.by,
        why=line.why,
        onset_at=raised.estimated_onset_at if raised else None,
        raised_at=raised.at if raised else None,
        frame_id=raised.frame_id if raised else None,
        what=line.cause or line.why,
        likely_cause=rule.cause if rule else "",
        consequence=line.consequence or (rule.consequence if rule else ""),
        action=line.action or (rule.action if rule else ""),
        respond_by=raised.respond_by if raised else None,
        shelved_until=standing.shelved_until,
        told=[ToldLine.model_validate(one, from_attributes=True) for one in letters],
        waiting=list(waiting),
        can=[action.value for action in possible(standing.status)],
    )


def _event(event: AlarmChanged) -> AlarmEvent:
    return AlarmEvent(
        event_id=event.event_id,
        alarm_id=event.alarm_id,
        flask=event.flask,
        channel=event.channel.value,
        state=event.state.value,
        at=event.at,
        priority=event.priority,
        cause=event.cause,
        by=event.by,
        frame_id=event.frame_id,
    )
