"""The delivery loop: one thread per receiver, so that a slow or absent one holds up nobody else."""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from monitor.errors import BackPressure
from monitor.messages import AlarmsGrouped
from services.delivery.letter import Letter
from services.delivery.outbox import Outbox
from services.delivery.rate_limit import RateLimit
from services.delivery.receiver import DeliveryFailed, Notice, Receiver
from services.settings import NotifierSettings
from services.telemetry import get_log

LOOK_S = 5.0
"""How often a receiver's thread looks into the outbox when nobody wakes it."""
REFUSALS_MOST = 3
"""So often a receiver may call a letter wrong before it is believed."""
TRIES_LEAST = 3
"""So often a letter is tried before it can be too old: the machine itself may have been off."""
DOUBLINGS_MOST = 40
GROUP_MOST = 500
"""Changes in one notification."""
GRACE_S = 3.0
"""At the end what is due is still begun for so long."""
END_S = 8.0
"""At the end what is under way may take so long in all; then it is left, and sent again at the next start."""

DRAIN_LOOK_S = 0.05

R = TypeVar("R")


def pause_after(attempts: int, settings: NotifierSettings) -> float:
    """Return seconds until the next attempt: doubling, spread so that letters do not come back all at once.

    >>> settings = NotifierSettings(retry_first_s=5.0, retry_most_s=60.0)
    >>> all(5.0 <= pause_after(1, settings) <= 10.0 and 10.0 <= pause_after(2, settings) <= 20.0 for _ in range(99))
    True
    >>> all(30.0 <= pause_after(50, settings) <= 60.0 for _ in range(99))
    True
    """
    most = min(settings.retry_first_s * 2.0 ** min(attempts, DOUBLINGS_MOST), settings.retry_most_s)
    return random.uniform(max(most / 2.0, min(settings.retry_first_s, most)), most)


def notice_of(letters: Sequence[Letter]) -> Notice:
    """Return what is sent for some letters: the change itself, or a group of them."""
    if len(letters) == 1:
        return letters[0].fact
    identity = "\x1f".join(letter.event_id for letter in letters)
    group_id = hashlib.sha256(identity.encode()).hexdigest()[:32]
    return AlarmsGrouped(group_id=group_id, changes=tuple(letter.fact for letter in letters))


class Lane(threading.Thread):
    """Delivers the letters of one receiver, those of one alarm in order; many that come together, in groups."""

    def __init__(
        self, outbox: Outbox, receiver: Receiver, settings: NotifierSettings, broken: Callable[[], None]
    ) -> None:
        super().__init__(name=f"lane {receiver.name}", daemon=True)
        self._outbox = outbox
        self._receiver = receiver
        self._settings = settings
        self._broken = broken
        self._log = get_log("notifier").bind(receiver=receiver.name)
        self._news = threading.Event()
        self._closing = threading.Event()
        self._last_start = 0.0
        self._pace = RateLimit(settings.flood_most, settings.flood_singly, settings.flood_window_s)
        self._hurry = False
        self._refuses_groups = False

    def hurry(self) -> None:
        """Say that what waits is to go out now, in one group where it is more than single ones allow."""
        self._hurry = True
        self._news.set()

    def wake(self) -> None:
        """Say that there may be a new letter."""
        self._news.set()

    def end(self, grace_s: float) -> None:
        """Ask the lane to end: nothing is begun later than `grace_s` from now, nor when nothing is due."""
        self._last_start = time.monotonic() + grace_s
        self._closing.set()
        self._news.set()

    def run(self) -> None:
        """Deliver until asked to end; a surprise is logged and reported, never silent."""
        try:
            while not self._closing.is_set() or time.monotonic() < self._last_start:
                wait_s = self._kept(self._next)
                if wait_s is None or wait_s <= 0.0:
                    continue
                if self._closing.is_set():
                    return
                self._news.wait(min(wait_s, LOOK_S))
                self._news.clear()
        except BaseException:
            self._log.exception("lane_broken", mend="the worker starts again")
            self._broken()
            raise

    def _next(self) -> float:
        """Deliver what is due, if anything is; return for how many seconds nothing will be."""
        name = self._receiver.name
        letter = self._outbox.next_letter(name)
        if letter is None:
            return LOOK_S
        wait_s = letter.next_try.timestamp() - self._outbox.now()
        if wait_s > 0.0:
            return wait_s
        if not self._receiver.grouped:
            self._deliver([letter])
            return 0.0
        turn = self._pace.turn(self._outbox.sent(name, self._pace.window_s), self._outbox.now())
        if turn.wait_s > 0.0 and not self._hurry:
            return turn.wait_s
        group = self._outbox.group(name, GROUP_MOST) if turn.grouped and not self._refuses_groups else []
        self._deliver(group or [letter])
        return 0.0

    def _deliver(self, letters: Sequence[Letter]) -> None:
        try:
            self._receiver.send(notice_of(letters))
        except DeliveryFailed as error:
            if error.refused and len(letters) > 1:
                # perhaps one of them is at fault, perhaps it knows no groups: one by one then, at the same pace
                self._refuses_groups = True
                error = DeliveryFailed(str(error))
            for letter in letters:
                self._failed(letter, error)
            return
        if self._receiver.grouped:
            self._kept(lambda: self._outbox.note_sent(self._receiver.name, self._pace.window_s))
        for letter in letters:
            self._kept(partial(self._outbox.delivered, letter))
            self._log.info("delivered", event_id=letter.event_id, flask=letter.fact.flask, attempts=letter.attempts + 1)

    def _failed(self, letter: Letter, failure: DeliveryFailed) -> None:
        attempts, error = letter.attempts + 1, str(failure)
        age_s = (datetime.now(UTC) - letter.added_at).total_seconds()
        too_old = age_s > self._settings.give_up_after_s and attempts >= TRIES_LEAST
        if too_old or letter.refusals + failure.refused >= REFUSALS_MOST:
            self._kept(lambda: self._outbox.given_up(letter, error, refused=failure.refused))
            self._log.error("given_up", event_id=letter.event_id, attempts=attempts, error=error)
            return
        asked_s = min(failure.pause_s or 0.0, self._settings.retry_most_s)
        pause_s = max(asked_s, pause_after(attempts, self._settings))
        self._kept(lambda: self._outbox.postpone(letter, pause_s, error, refused=failure.refused))
        if asked_s > 0.0:
            self._kept(lambda: self._outbox.hold(self._receiver.name, asked_s))
        self._log.warning(
            "not_delivered", event_id=letter.event_id, attempts=attempts, error=error, next_try_in_s=round(pause_s, 1)
        )

    def _kept(self, call: Callable[[], R]) -> R | None:
        """Call until the outbox can be used, sending nothing meanwhile; None when asked to end first."""
        told = False
        while True:
            try:
                return call()
            except BackPressure as error:
                if not told:
                    self._log.error("outbox_unusable", error=str(error))
                told = True
                if self._closing.wait(LOOK_S):
                    return None


class Postman:
    """All lanes together; used as a context, which closes the outbox at its end.

    Parameters
    ----------
    broken
        Called from a lane that ends by a surprise: the worker must not seem to deliver when it does not.
    """

    def __init__(
        self,
        outbox: Outbox,
        receivers: Sequence[Receiver],
        settings: NotifierSettings,
        broken: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._lanes = [Lane(outbox, receiver, settings, broken) for receiver in receivers]

    def __enter__(self) -> Self:
        for lane in self._lanes:
            lane.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lane in self._lanes:
            lane.end(GRACE_S)
        deadline = time.monotonic() + END_S
        for lane in self._lanes:
            lane.join(max(0.0, deadline - time.monotonic()))
        # a lane that still waits for its receiver needs the outbox until the process ends
        if not any(lane.is_alive() for lane in self._lanes):
            self._outbox.close()

    def wake(self) -> None:
        """Say that the outbox may hold something new."""
        for lane in self._lanes:
            lane.wake()

    def drain(self, stop: threading.Event) -> None:
        """Wait until nothing is due or under way, or until `stop`; what waits for a later try is not waited for."""
        for lane in self._lanes:
            lane.hurry()
        while self._outbox.due() and not stop.wait(DRAIN_LOOK_S):
            pass
