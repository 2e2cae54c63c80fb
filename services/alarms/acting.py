"""Acting on an alarm: what an operator wants is stored first, and becomes part of the flask's history from there.

The action waits in the record until an ingester has brought it to the flask's predictor: within seconds where cellvigil
runs, at its next start where it does not.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import typer

from monitor.culture.standing import AlarmStanding
from monitor.errors import SettingsError
from monitor.messages import AlarmStatus, Channel, OperatorActed, OperatorAction
from services.alarms.culture_time import culture_time
from services.alarms.place import opened
from services.clock import SystemClock, make_clock
from services.settings import settings_of
from services.state_folder import StateFolder
from services.store.ledger import Ledger
from services.store.record_sqlite import SqliteRecord
from services.transport.server import server_status

WAIT_S = 10.0
LOOK_S = 0.1
UNSEEN = frozenset((AlarmStatus.UNACKNOWLEDGED, AlarmStatus.RETURNED_UNACKNOWLEDGED, AlarmStatus.LATCHED))
FITS: dict[OperatorAction, frozenset[AlarmStatus]] = {
    OperatorAction.ACKNOWLEDGE: UNSEEN | {AlarmStatus.SHELVED},
    OperatorAction.UNSHELVE: frozenset((AlarmStatus.SHELVED,)),
    OperatorAction.IN_SERVICE: frozenset((AlarmStatus.OUT_OF_SERVICE,)),
}
"""Where an alarm must stand for an action to mean anything; the others are possible at any time."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator wants: with which alarm, who, why, and for how many hours a shelving lasts."""

    action: OperatorAction
    flask: str
    channel: str | None
    by: str
    why: str
    hours: float | None = None


@dataclass(frozen=True, slots=True)
class Performed:
    """What became of a wish.

    acted: as it was stored, None where the alarm stands so that there was nothing to do; stands: where it stood before;
    taken_in: whether it is part of the flask's history by now.
    """

    wish: Wish
    channel: Channel
    stands: AlarmStatus
    acted: OperatorActed | None
    taken_in: bool

    @property
    def note(self) -> str:
        """What to tell whoever wished it."""
        what = self.wish.action.replace("_", " ")
        if self.acted is None:
            return f"nothing to {what}, it is {said(self.stands)}"
        until = f" until {self.acted.until:%Y-%m-%d %H:%M} UTC" if self.acted.until else ""
        later = "noted; it takes effect as soon as cellvigil runs on this state folder"
        return f"{what} by {self.wish.by}{until}: {'done' if self.taken_in else later}"


def act(folder: Path, wish: Wish) -> int:
    """Store an action and say what became of it; return 1 when there is nothing that it could be done to.

    Raises
    ------
    SettingsError
        There is no such flask or channel, or it does not say which alarm is meant.
    """
    done = perform(folder, wish, WAIT_S)
    typer.echo(f"{wish.flask} {done.channel}: {done.note}")
    return int(done.acted is None)


def perform(folder: Path, wish: Wish, wait_s: float) -> Performed:
    """Store an action, where it can be done, and wait a moment for it to be taken in.

    Raises
    ------
    SettingsError
        There is no such flask or channel, or it does not say which alarm is meant.
    BackPressure
        The record cannot be written now.
    """
    state, record = opened(folder)
    with record:
        standings = [standing for standing in record.standings() if standing.flask == wish.flask]
        _check_flask(record, wish.flask)
        channel = _channel(wish, standings)
        stands = next((s.status for s in standings if s.channel is channel), AlarmStatus.NORMAL)
        fits = FITS.get(wish.action)
        if fits is not None and stands not in fits:
            return Performed(wish, channel, stands, None, taken_in=False)
        acted = acted_of(wish, channel, _now_in(wish.flask, state, record))
        record.put_action(acted)
        return Performed(wish, channel, stands, acted, _taken_in(state, record, acted, wait_s))


def possible(status: AlarmStatus) -> list[OperatorAction]:
    """Return what would change something about an alarm that stands so."""
    found = [action for action in (OperatorAction.ACKNOWLEDGE, OperatorAction.UNSHELVE) if status in FITS[action]]
    if status is AlarmStatus.SHELVED:
        found.remove(OperatorAction.ACKNOWLEDGE)  # what was put aside is taken back first
    if status is AlarmStatus.OUT_OF_SERVICE:
        return [OperatorAction.IN_SERVICE]
    if status is not AlarmStatus.SHELVED:
        found.append(OperatorAction.SHELVE)
    return [*found, OperatorAction.OUT_OF_SERVICE]


def acted_of(wish: Wish, channel: Channel, at: datetime) -> OperatorActed:
    """Return a wish as the fact that it is from now on."""
    return OperatorActed(
        action_id=uuid.uuid4().hex,
        flask=wish.flask,
        channel=channel,
        action=wish.action,
        at=at,
        acted_at=SystemClock().now(),
        by=wish.by,
        why=wish.why,
        until=None if wish.hours is None else at + timedelta(hours=wish.hours),
    )


def said(status: AlarmStatus) -> str:
    """Return a status as words.

    >>> said(AlarmStatus.OUT_OF_SERVICE)
    'out of service'
    """
    return status.value.replace("_", " ")


def _check_flask(record: SqliteRecord, flask: str) -> None:
    flasks = record.flasks()
    if flask not in flasks:
        known = ", ".join(flasks[:20]) or "none"
        raise SettingsError(f"there is no flask {flask!r} here; there are: {known}", reason="no_flask")


def _channel(wish: Wish, standings: Sequence[AlarmStanding]) -> Channel:
    names = ", ".join(channel.value for channel in Channel)
    if wish.channel is not None:
        if wish.channel not in list(Channel):
            raise SettingsError(f"there is no channel {wish.channel!r}; choose among {names}", reason="no_channel")
        return Channel(wish.channel)
    fits = FITS.get(wish.action, UNSEEN | {AlarmStatus.ACKNOWLEDGED})
    meant = [standing.channel for standing in standings if standing.status in fits]
    if len(meant) != 1:
        which = ", ".join(meant) or "none"
        message = f"alarms of {wish.flask} that could be meant: {which}; name one channel of {names}"
        raise SettingsError(message, reason="no_channel")
    return meant[0]


def _now_in(flask: str, state: StateFolder, record: SqliteRecord) -> datetime:
    arrivals = {}
    if state.ledger.is_file():
        with Ledger(state.ledger, readonly=True) as ledger:
            arrivals = ledger.last_arrivals()
    now = make_clock(settings_of(state).clock).now()
    return culture_time(flask, record.newest_at(flask), arrivals, now)


def _taken_in(state: StateFolder, record: SqliteRecord, acted: OperatorActed, wait_s: float) -> bool:
    """Wait a moment for a predictor, where a queue runs that could bring the action to it."""
    if server_status(state.root) is None:
        return False
    deadline = time.monotonic() + wait_s
    while any(waiting.action_id == acted.action_id for waiting in record.waiting_actions()):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_S)
    return True
