"""The notifier: alarms from the stream into the outbox, and from the outbox to people; the predictor never waits.

What stands in the record and not in the outbox is added at the start, every minute and at the end, so that an alarm is
delivered even when the queue that carried it was lost.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from monitor.errors import CellvigilError, SettingsError
from monitor.messages import AlarmChanged
from services.delivery.apprise import Apprise
from services.delivery.letter import DeliveryState
from services.delivery.lock import sole_writer
from services.delivery.mail import Mail
from services.delivery.mqtt import Mqtt
from services.delivery.outbox import Outbox
from services.delivery.postman import Postman
from services.delivery.receiver import Receiver
from services.delivery.reminder import daily_test, reminders
from services.delivery.terminal import Terminal
from services.delivery.webhook import Webhook
from services.settings import NotifierSettings, Settings
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.store.silence import Quiet, nobody_silenced, quiet_by
from services.telemetry import get_log
from services.transport.bus import Bus
from services.transport.runner import EXIT_OK, EXIT_WORN_OUT, Runner
from services.transport.stage import Done, Outcome
from services.transport.streams import ALARMS

BATCH_SIZE = 64
RECONCILE_S = 60.0
RECEIVERS_MOST = 32
"""Each receiver has a thread of its own; whoever needs more wants a relay behind one of them."""


class OutboxStage:
    """Writes alarms into the outbox; sending is done beside it, so that no receiver holds the stream up.

    Parameters
    ----------
    outbox
        Where to write.
    receivers
        Names of those who are told from now on.
    added
        Called after something new was written.
    quiet
        Gives what is silenced at the time.
    """

    name = ALARMS.group

    def __init__(
        self,
        outbox: Outbox,
        receivers: Sequence[str],
        added: Callable[[], None],
        quiet: Callable[[], Quiet] = lambda: nobody_silenced,
    ) -> None:
        self._outbox = outbox
        self._receivers = list(receivers)
        self._added = added
        self._quiet = quiet

    def warm_up(self) -> None:
        """Nothing to load."""

    def describe(self) -> dict[str, str]:
        """Nothing to add."""
        return {}

    def prefetch(self, batch: Sequence[AlarmChanged]) -> None:
        """Nothing to read ahead."""

    def process(self, batch: Sequence[AlarmChanged]) -> list[Outcome]:
        """Store the alarms for every receiver.

        Raises
        ------
        BackPressure
            The outbox cannot be written now; the alarms stay in the stream until it can.
        """
        new = self._outbox.add(batch, self._receivers, self._quiet())
        if new:
            self._added()
        return [Done() for _ in batch]


def run_notifier(settings: Settings, bus: Bus, stop: threading.Event, *, drain: bool = False) -> int:
    """Run the notifier until `stop`, or, when draining, until the stream is empty and nothing is due.

    Letters that wait for a later try stay in the outbox for the next run; their number is logged. While another
    notifier works on the same state folder, this one waits for it to end.

    Returns
    -------
    int
        Exit code of the runner; 70 when a delivering thread broke and a fresh process should go on.

    Raises
    ------
    SettingsError
        A receiver's settings, or the outbox, cannot be used.
    """
    state = StateFolder(settings.state)
    state.create()
    receivers = make_receivers(settings.notifier)
    with sole_writer(state.outbox, stop) as alone:
        return _run(settings, state, receivers, bus, stop, drain=drain) if alone else EXIT_OK


def _run(
    settings: Settings,
    state: StateFolder,
    receivers: Sequence[Receiver],
    bus: Bus,
    stop: threading.Event,
    *,
    drain: bool,
) -> int:
    names = [receiver.name for receiver in receivers]
    outbox = Outbox(state.outbox)
    broken = threading.Event()

    def break_off() -> None:
        broken.set()
        stop.set()

    with Postman(outbox, receivers, settings.notifier, break_off) as postman:
        retired = outbox.retire(names)
        if retired:
            get_log("notifier").warning("letters_retired", letters=retired, why="receivers left the settings")

        started = datetime.now(UTC)

        def reconcile() -> None:
            added = _reconcile(state.record, outbox, names, settings.notifier.repeat_s)
            added += _test(outbox, names, settings.notifier.test_at, started)
            if added:
                postman.wake()

        reconcile()
        stage = OutboxStage(outbox, names, postman.wake, partial(_quiet, state.record))
        streams = ALARMS.streams(1)
        runner = Runner(stage, bus, streams, settings.delivery, batch_size=BATCH_SIZE, on_failure=lambda failure: None)
        with _Repeated(reconcile, RECONCILE_S):
            code = runner.run(stop, drain=drain)
        reconcile()
        if drain:
            postman.drain(stop)
        _report(outbox)
    return EXIT_WORN_OUT if broken.is_set() else code


def make_receivers(settings: NotifierSettings) -> list[Receiver]:
    """Return everybody who is told, as the settings say.

    Raises
    ------
    SettingsError
        An address or a secret cannot be used, a receiver is named twice, or there are too many.
    """
    receivers: list[Receiver] = [Webhook.of(chosen) for chosen in settings.webhooks]
    receivers += [Mail.of(chosen) for chosen in settings.mail]
    receivers += [Mqtt.of(chosen) for chosen in settings.mqtt]
    if settings.apprise_file is not None:
        receivers.append(Apprise.of(settings.apprise_file))
    if settings.terminal:
        receivers.append(Terminal())
    if len({receiver.name for receiver in receivers}) < len(receivers):
        raise SettingsError("notifier: a receiver is named twice; leave one out", reason="webhook")
    if len(receivers) > RECEIVERS_MOST:
        message = f"notifier: more than {RECEIVERS_MOST} receivers; put a relay behind one of them"
        raise SettingsError(message, reason="webhook")
    return receivers


class _Repeated:
    """Calls a function every so often in a thread of its own; used as a context."""

    def __init__(self, call: Callable[[], None], period_s: float) -> None:
        self._call = call
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self._call()


def _test(outbox: Outbox, receivers: Sequence[str], test_at: time | None, since: datetime) -> int:
    event = None if test_at is None else daily_test(test_at, since, datetime.now(UTC))
    return outbox.add([event], receivers) if event is not None else 0


def _quiet(record: Path) -> Quiet:
    """Return what is silenced now; nothing when that cannot be read, for silence must never come by a fault."""
    try:
        with SqliteRecord(record, readonly=True) as opened:
            return quiet_by(opened.silences(), datetime.now(UTC))
    except (CellvigilError, ValidationError):
        return nobody_silenced


def _reconcile(record: Path, outbox: Outbox, receivers: Sequence[str], repeat_s: float | None) -> int:
    """Add recorded alarms that the stream did not bring, and reminders; return how many."""
    if not record.exists():
        return 0
    log = get_log("notifier")
    try:
        with SqliteRecord(record, readonly=True) as opened:
            quiet = _quiet(record)
            added = outbox.add(opened.alarms(), receivers, quiet)
            outbox.follow_silences(quiet)
            if repeat_s is not None:
                again = reminders(opened.standings(), outbox, repeat_s, datetime.now(UTC))
                added += outbox.add(list(again), receivers, quiet)
    except (CellvigilError, ValidationError) as error:
        log.warning("not_reconciled", error=str(error), mend="alarms still come by the stream")
        return 0
    if added:
        log.info("reconciled", alarms=added)
    return added


def _report(outbox: Outbox) -> None:
    counts = outbox.summary()
    report = get_log("notifier").warning if counts[DeliveryState.WAITING] else get_log("notifier").info
    report("outbox", **{state.value: count for state, count in counts.items()})
