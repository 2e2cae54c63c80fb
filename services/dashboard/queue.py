"""The queue as the page sees it: whether it runs, who works, what waits, what could not be brought to an end."""

from datetime import UTC, datetime

from monitor.errors import BackPressure, SettingsError
from monitor.messages import FrameArrived, FrameFailed
from services.dashboard.endpoint import PageRequest
from services.dashboard.errors import Conflict, NotFound
from services.dashboard.queue_connection import queue_of
from services.dashboard.schemas import DeadLetterItem, DeadLetters, Requeued
from services.dashboard.user_actions import note_user_action
from services.state_folder import StateFolder
from services.store.dead_letters import DeadLetter as Dead
from services.store.dead_letters import dead_letters, find_dead_letter, requeue
from services.store.ledger_view import viewed_ledger
from services.store.record_sqlite import SqliteRecord
from services.store.record_view import viewed_record

ANSWER_S = 3.0


def dead_letter_list(request: PageRequest) -> DeadLetters:
    """Return what no worker could bring to an end, oldest first."""
    page, wanted = request.page, request.params
    with queue_of(page.state, page.settings.server) as bus:
        if bus is None:
            return DeadLetters(items=_from_record(page.state, wanted.limit), next=None, available=False)
        try:
            found = dead_letters(bus, _after(wanted.cursor), wanted.limit + 1)
        except BackPressure:
            return DeadLetters(items=_from_record(page.state, wanted.limit), next=None, available=False)
    shown = found[: wanted.limit]
    more = shown[-1].letter.entry_id if len(found) > len(shown) else None
    return DeadLetters(items=[_item(page.state, one) for one in shown], next=more, available=True)


def requeue_letter(request: PageRequest) -> Requeued:
    """Put a dead letter into the queue again."""
    page, entry_id = request.page, request.path["letter"]
    with queue_of(page.state, page.settings.server) as bus:
        if bus is None:
            raise Conflict("no queue server runs; start `cellvigil run` first", reason="no_queue")
        dead = find_dead_letter(bus, entry_id)
        if dead is None:
            raise NotFound(
                f"there is no dead letter {entry_id[:40]!r}; it may be in the queue again", reason="no_letter"
            )
        frame_id = dead.told.frame_id if isinstance(dead.told, FrameFailed) else None
        arrived = arrived_of(page.state, frame_id)
        fact = None
        if frame_id is not None:
            with SqliteRecord(page.state.record, readonly=True) as record:
                fact = record.segmentation(frame_id)
        try:
            stream = requeue(bus, dead, arrived, fact, page.settings.predictor.partitions)
        except SettingsError as error:
            raise Conflict(str(error), reason=error.reason) from error
    if stream is None:
        raise NotFound(f"the dead letter {entry_id!r} is in the queue again already", reason="no_letter")
    subject = f"dead letter {entry_id}" + (f" of frame {frame_id[:12]}" if frame_id else "")
    note_user_action(page.state, request.visitor.name, "put into the queue again", subject, request.params.comment)
    return Requeued(id=entry_id, stream=stream, note=f"in the queue again ({stream})")


def arrived_of(state: StateFolder, frame_id: str | None) -> FrameArrived | None:
    """Return a frame as the ledger has it."""
    if frame_id is None:
        return None
    with viewed_ledger(state.ledger) as ledger:
        return None if ledger is None else ledger.frame(frame_id)


def _item(state: StateFolder, dead: Dead) -> DeadLetterItem:
    told, since = dead.told, datetime.fromtimestamp(dead.since_ms / 1000.0, UTC)
    if isinstance(told, FrameFailed):
        return _failed(state, told, dead.letter.entry_id, since, queued=True)
    return DeadLetterItem(
        id=dead.letter.entry_id,
        kind="unreadable" if told is None else "parked",
        stage="" if told is None else told.stream,
        reason="unreadable" if told is None else told.reason,
        detail="this version cannot read it" if told is None else f"{told.key}: {told.payload[:300]}",
        frame_id=None,
        flask=None,
        source=None,
        since=since,
        can_requeue=told is not None,
    )


def _failed(
    state: StateFolder, told: FrameFailed, name: str, since: datetime | None, *, queued: bool
) -> DeadLetterItem:
    arrived = arrived_of(state, told.frame_id)
    return DeadLetterItem(
        id=name,
        kind="frame_failed",
        stage=told.stage,
        reason=told.reason,
        detail=told.detail,
        frame_id=told.frame_id,
        flask=None if arrived is None else arrived.key.flask,
        source=None if arrived is None else arrived.source,
        since=since or (arrived.arrived_at if arrived is not None else datetime.fromtimestamp(0, UTC)),
        can_requeue=queued and arrived is not None,
    )


def _from_record(state: StateFolder, most: int) -> list[DeadLetterItem]:
    """Return failures of frames without an estimate, as the record has them while no queue can be request."""
    with viewed_record(state.record) as record:
        failures = [] if record is None else record.failures(most)
    return [_failed(state, told, told.frame_id, None, queued=False) for told in failures]


def _after(cursor: str | None) -> str:
    milliseconds, _, number = (cursor or "").partition("-")
    return cursor if cursor and milliseconds.isdigit() and number.isdigit() and len(cursor) <= 40 else ""
