"""The notifier: alarms from the stream into the outbox, and from the outbox to people.

The predictor never waits for it.

What stands in the record and not in the outbox is added at the start and every few seconds, so that an alarm is
delivered even when the queue that carried it was lost.
"""

import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from monitor.messages import AlarmChanged, AlarmState
from services.delivery.outbox import Letter, Outbox
from services.delivery.webhook import DeliveryFailed, Webhook
from services.record.sqlite import SqliteRecord
from services.settings import NotifierSettings, Settings
from services.state_folder import StateFolder
from services.transport.bus import Bus
from services.transport.runner import Runner
from services.transport.stage import Done, Outcome
from services.transport.streams import ALARMS

TERMINAL = "terminal"
LOOK_S = 0.5
RECONCILE_S = 5.0
SENDERS = 4
FINAL_ATTEMPTS = 3
"""An answer that says the letter itself is wrong is believed after this many attempts."""


class NotifierStage:
    """Writes alarms into the outbox; sending is done beside it, so that no receiver holds the stream up."""

    name = "notifier"

    def __init__(self, outbox: Outbox, receivers: Sequence[str]) -> None:
        self._outbox = outbox
        self._receivers = list(receivers)

    def warm_up(self) -> None:
        """Nothing to load."""

    def prefetch(self, batch: Sequence[AlarmChanged]) -> None:
        """Nothing to read ahead."""

    def process(self, batch: Sequence[AlarmChanged]) -> list[Outcome]:
        """Store the alarms for every receiver."""
        self._outbox.add(batch, self._receivers)
        return [Done() for _ in batch]


class Postman:
    """Takes due letters out of the outbox and delivers them, several receivers at a time."""

    def __init__(
        self, outbox: Outbox, ways: dict[str, Callable[[AlarmChanged], None]], settings: NotifierSettings
    ) -> None:
        self._outbox = outbox
        self._ways = ways
        self._settings = settings
        self._log = structlog.get_logger().bind(stage="notifier")

    def run(self, stop: threading.Event, reconcile: Callable[[], None]) -> None:
        """Deliver until `stop`; at the end, what is due is tried once more."""
        elapsed = RECONCILE_S
        with ThreadPoolExecutor(SENDERS, thread_name_prefix="sender") as pool:
            while True:
                stopping = stop.wait(LOOK_S)
                elapsed += LOOK_S
                if elapsed >= RECONCILE_S or stopping:
                    elapsed = 0.0
                    reconcile()
                list(pool.map(self._deliver, self._outbox.due()))
                if stopping:
                    return

    def _deliver(self, letter: Letter) -> None:
        way = self._ways.get(letter.receiver)
        if way is None:
            self._outbox.given_up(letter, "this receiver is no longer in the settings")
            return
        try:
            way(letter.fact)
        except DeliveryFailed as error:
            self._failed(letter, error)
        else:
            self._outbox.delivered(letter)
            self._log.info(
                "delivered", receiver=letter.receiver, event_id=letter.event_id, attempts=letter.attempts + 1
            )

    def _failed(self, letter: Letter, error: DeliveryFailed) -> None:
        settings = self._settings
        too_old = time.time() - letter.added_at > settings.give_up_after_s
        if too_old or (error.final and letter.attempts + 1 >= FINAL_ATTEMPTS):
            self._outbox.given_up(letter, str(error))
            self._log.error("given_up", receiver=letter.receiver, event_id=letter.event_id, error=str(error))
            return
        pause_s = min(settings.retry_first_s * 2.0**letter.attempts, settings.retry_most_s)
        pause_s = max(error.pause_s or 0.0, pause_s * random.uniform(0.8, 1.2))
        self._outbox.postpone(letter, pause_s, str(error))
        self._log.warning("not_delivered", receiver=letter.receiver, error=str(error), next_try_in_s=round(pause_s, 1))


def run_notifier(settings: Settings, bus: Bus, stop: threading.Event, *, drain: bool = False) -> int:
    """Run the notifier until `stop`, or until the stream is empty when draining; return its exit code.

    Letters that wait for a receiver to come back stay in the outbox for the next run.
    """
    state = StateFolder(settings.state)
    state.create()
    webhooks = [Webhook.of(chosen) for chosen in settings.notifier.webhooks]
    ways: dict[str, Callable[[AlarmChanged], None]] = {webhook.receiver: webhook.send for webhook in webhooks}
    if settings.notifier.terminal:
        ways[TERMINAL] = print_alarm
    outbox = Outbox(state.outbox)
    sending = threading.Event()

    def reconcile() -> None:
        with SqliteRecord(state.record) as record:
            outbox.add(record.alarms(), ways)

    postman = threading.Thread(
        target=Postman(outbox, ways, settings.notifier).run, args=(sending, reconcile), name="postman"
    )
    postman.start()
    try:
        runner = Runner(
            NotifierStage(outbox, list(ways)),
            bus,
            [ALARMS],
            settings.delivery,
            batch_size=64,
            on_failure=lambda failure: None,
        )
        return runner.run(stop, drain=drain)
    finally:
        sending.set()
        postman.join()
        outbox.close()


def print_alarm(event: AlarmChanged) -> None:
    """Write one line about an alarm to standard error."""
    word = "ALARM" if event.state is AlarmState.RAISED else "over "
    text = f"{word} {event.at:%Y-%m-%d %H:%M} {event.flask} {event.channel.value}: {event.cause}"
    if event.state is AlarmState.RAISED:
        text += f". Do: {event.action}"
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    sys.stderr.write(f"{shown}\n")
    sys.stderr.flush()
