"""The only consume loop: claim, read, decode, process, publish and acknowledge, for every worker alike.

Exit codes: 0 stopped or drained; 70 the engine or the memory gave out, start again in a fresh process; 128 + number
after a second signal. A signal while a stage warms up ends the process. An error in the set-up, such as weights that
are refused, is raised to the caller.
"""

import functools
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from monitor.errors import BackPressure, CellvigilError, EngineFailure
from monitor.messages import FrameArrived, FrameFailed, FrameSegmented, Message, Parked
from services.settings import DeliverySettings
from services.transport.backoff import Backoff
from services.transport.bus import Bus, Delivery
from services.transport.codec import UnknownMessage, decode
from services.transport.heartbeat import Heartbeat
from services.transport.signals import ends_at_once
from services.transport.stage import Done, Outcome, Publication, Reject, Retry, Stage
from services.transport.streams import DEAD

EXIT_OK = 0
EXIT_WORN_OUT = 70
RETRY_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0)
"""Pauses before an input whose outcome was `Retry` is tried again; after the last it is a dead letter."""
MOST_RETRIES = 64
"""With this many inputs waiting for another try nothing new is read: the fault is not in the inputs."""
OUTSIDE_FAILURES = 3
"""When this many inputs ask for another try and none gets through, the fault lies outside and nobody is given up."""
PROBE_S = 60.0
"""Then something new is tried this often, however much waits: it may be that only the first ones are at fault."""
HANDED_ON_S = 0.05
"""In so long a signal that came before the warm-up has set `stop`."""
ENGINE_FAILURES = 3
"""After the engine failed on this many inputs in a row, each alone, the fault is in the engine."""


@dataclass(slots=True)
class _Work:
    delivery: Delivery
    message: Message
    tries: int = 0
    strikes: int = 0
    seen: int = -1  # how many inputs had got through when this one was last tried
    due: float = 0.0
    struck: bool = False

    @property
    def suspect(self) -> bool:
        """Whether a worker held this before and is gone: it may be what killed it."""
        return self.delivery.deliveries >= 2


class Runner:
    """Runs one stage on its streams.

    Parameters
    ----------
    stage
        What is done with the messages.
    bus
        The queue; `group` defaults to the stage's name and `consumer` to a name that no other process has.
    on_failure
        Told of every frame that is given up, before it leaves the stream; must be idempotent.
    """

    def __init__(
        self,
        stage: Stage[Any],
        bus: Bus,
        streams: Sequence[str],
        settings: DeliverySettings,
        *,
        batch_size: int,
        on_failure: Callable[[FrameFailed], None],
        group: str | None = None,
        consumer: str | None = None,
    ) -> None:
        self._stage = stage
        self._bus = bus
        self._streams = list(streams)
        self._settings = settings
        self._batch_size = batch_size
        self._most = batch_size  # smaller for a while after the engine failed on a batch
        self._on_failure = on_failure
        self._group = group or stage.name
        self._consumer = consumer or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._log = structlog.get_logger().bind(stage=stage.name)
        self._heartbeat = Heartbeat(bus, settings)
        self._stop = threading.Event()
        self._persist = self._backoff(self._stop)
        self._ahead: list[_Work] = []
        self._retries: list[_Work] = []
        self._failed_alone: set[str] = set()
        self._stuck: set[str] = set()  # what asked for another try since something last got through
        self._through = 0
        self._drains = False
        self._next_probe = 0.0
        self._next_claim = 0.0
        self._done = 0

    def run(self, stop: threading.Event, *, drain: bool = False) -> int:
        """Work until `stop` is set, or, when draining, until the streams are empty; return the exit code.

        On stop the batch in hand is finished and everything else given back as it was.
        """
        self._stop, self._drains = stop, drain
        self._persist = self._backoff(stop)
        self._persist(lambda: self._bus.subscribe(self._streams, self._group, self._consumer))
        with self._heartbeat:
            try:
                with ends_at_once():
                    if stop.wait(HANDED_ON_S):
                        return EXIT_OK
                    self._stage.warm_up()
                described = self._stage.describe()
                self._heartbeat.ready(described)
                self._log.info("ready", streams=self._streams, **described)
                self._loop(drain)
            except (EngineFailure, MemoryError) as error:
                self._log.error("worn_out", error=repr(error), mend="the supervisor starts a fresh process")
                return EXIT_WORN_OUT
            finally:
                self._release()
        return EXIT_OK

    def _loop(self, drain: bool) -> None:
        while not self._stop.is_set():
            batch = self._ahead or self._fetch(self._settings.block_s)
            self._ahead = self._fetch(0.0) if batch else []
            # reading a suspect may be what kills, so it is touched only alone and with a strike against it
            if hinted := [work.message for work in self._ahead if not work.suspect]:
                self._stage.prefetch(hinted)
            self._work(batch)
            self._moved()
            if drain and not batch and self._drained():
                return

    def _fetch(self, block_s: float) -> list[_Work]:
        """Return work: what is due again, what others left behind, what is new."""
        now = time.monotonic()
        due = [work for work in self._retries if work.due <= now][: self._most]
        if due:
            self._retries = [work for work in self._retries if work not in due]
            return due
        if len(self._retries) >= MOST_RETRIES and now < self._next_probe:
            self._stop.wait(block_s)
            return []
        self._next_probe = now + PROBE_S
        found: list[Delivery] = []
        if now >= self._next_claim:
            self._next_claim = now + self._settings.beat_s
            found = self._persist(lambda: self._bus.claim(self._most, self._settings.claim_idle_s)) or []
        if not found and not self._stop.is_set():
            found = self._persist(lambda: self._bus.read(self._most, block_s)) or []
        return [work for delivery in found if (work := self._decoded(delivery)) is not None]

    def _decoded(self, delivery: Delivery) -> _Work | None:
        try:
            return _Work(delivery, decode(delivery.payload))
        except UnknownMessage as error:
            self._log.error("parked", key=delivery.key, error=str(error), mend="upgrade this worker, then requeue")
            parked = _parked(delivery, error.reason)
        self._persist(lambda: self._bus.settle(delivery, [parked]))
        return None

    def _work(self, batch: list[_Work]) -> None:
        """Process a batch; a suspect goes alone, so that it takes nobody with it."""
        together = [work for work in batch if not work.suspect]
        alone = [work for work in batch if work.suspect]
        if together:
            self._process(together)
        # in random order: a worker killed from outside would else strike the same innocent each time
        random.shuffle(alone)
        while alone and not self._stop.is_set():
            self._process_suspect(alone.pop())
        self._ahead += alone

    def _process_suspect(self, work: _Work) -> None:
        if work.struck:  # it was tried by this process and did not kill it
            self._process([work])
            return
        strikes = self._persist(lambda: self._bus.strike(work.delivery))
        if strikes is None:
            self._ahead.append(work)
            return
        work.struck = True
        if strikes > self._settings.max_solo_attempts:
            message = f"a worker died {self._settings.max_solo_attempts} times on this input alone; look at the file"
            self._settle(work, Reject(CellvigilError(message, reason="crashed_worker")))
        else:
            self._process([work])

    def _process(self, batch: list[_Work]) -> None:
        for work, outcome in zip(batch, self._outcomes(batch), strict=True):
            self._settle(work, outcome)

    def _outcomes(self, batch: list[_Work]) -> list[Outcome]:
        try:
            outcomes = self._persist(lambda: self._stage.process([work.message for work in batch]))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 (the one place where a stage's surprise must not end the worker)
            self._moved()
            if len(batch) > 1 and _may_pass(error):
                self._most = max(1, len(batch) // 2) if isinstance(error, EngineFailure) else self._most
                self._log.warning("batch_failed", inputs=len(batch), error=repr(error))
                return [outcome for work in batch for outcome in self._outcomes([work])]
            return [self._failed(work, error) for work in batch]
        self._failed_alone.clear()
        self._most = min(self._most + (len(batch) == self._most), self._batch_size)
        self._moved()
        if outcomes is None:
            return [Retry(BackPressure("stopped while waiting", reason="stopped")) for _ in batch]
        if len(outcomes) != len(batch):
            raise RuntimeError(f"{self._stage.name} returned {len(outcomes)} outcomes for {len(batch)} inputs")
        return list(outcomes)

    def _failed(self, work: _Work, error: Exception) -> Outcome:
        """Judge an error that a stage raised over one input; raise it again when the engine is at fault."""
        if isinstance(error, EngineFailure):
            self._failed_alone.add(work.delivery.key)
            if not error.retryable or len(self._failed_alone) >= ENGINE_FAILURES:
                raise error
            return Retry(error)
        # once with its traceback; an outage would fill the log with them
        self._log.error("stage_raised", key=work.delivery.key, error=repr(error), exc_info=not work.tries and error)
        return Retry(CellvigilError(f"{type(error).__name__}: {error}", reason="stage_error"))

    def _settle(self, work: _Work, outcome: Outcome) -> None:
        if isinstance(outcome, Retry):
            if self._try_again(work, outcome.error):
                return
            outcome = Reject(outcome.error)
        else:
            self._stuck.clear()
            self._through += 1
        outputs = outcome.outputs if isinstance(outcome, Done) else [self._given_up(work, outcome.error)]
        if self._persist(lambda: self._bus.settle(work.delivery, outputs)):
            self._done += 1
        self._moved()

    def _try_again(self, work: _Work, error: CellvigilError) -> bool:
        """Put an input aside for another try; False when it had all of its own.

        A try does not count against it while nothing gets through: a share that is away, a full disk. A drain counts
        every try, so that it ends.
        """
        self._stuck.add(work.delivery.entry_id)
        outside = not self._drains and len(self._stuck) >= OUTSIDE_FAILURES and work.seen == self._through
        work.seen = self._through
        work.strikes += not outside
        if work.strikes > len(RETRY_PAUSES_S):
            return False
        if outside and work.tries % len(RETRY_PAUSES_S) == 0:
            self._log.warning("nothing_gets_through", inputs=len(self._stuck), error=str(error))
        work.due = time.monotonic() + RETRY_PAUSES_S[min(work.tries, len(RETRY_PAUSES_S) - 1)]
        work.tries += 1
        self._retries.append(work)
        return True

    def _given_up(self, work: _Work, error: CellvigilError) -> Publication:
        self._log.warning("given_up", key=work.delivery.key, reason=error.reason, error=str(error))
        if not isinstance(work.message, FrameArrived | FrameSegmented):
            return _parked(work.delivery, error.reason)
        frame_id = work.message.frame_id
        failure = FrameFailed(frame_id=frame_id, stage=self._stage.name, reason=error.reason, detail=str(error))
        self._on_failure(failure)
        return Publication(DEAD, f"dead:{self._stage.name}:{frame_id}", failure)

    def _drained(self) -> bool:
        if self._retries or self._ahead:
            return False
        count = functools.partial(self._bus.waiting, group=self._group)
        return all(self._persist(functools.partial(count, stream)) == 0 for stream in self._streams)

    def _release(self) -> None:
        """Give back what was not attempted as it was, and what was attempted as harmless: this worker survived it."""
        held = [work.delivery for work in self._ahead]
        held += [replace(work.delivery, deliveries=1) for work in self._retries]
        try:
            self._bus.release(held)
        except BackPressure:
            self._log.info("not_released", inputs=len(held), mend="they are delivered again once this worker is gone")

    def _backoff(self, stop: threading.Event) -> Callable[[Callable[[], Any]], Any]:
        return Backoff(self._log, stop, functools.partial(self._moved, "back_pressure")).persist

    def _moved(self, state: str = "running") -> None:
        self._heartbeat.progressed(done=self._done, state=state)


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, EngineFailure) or error.retryable


def _parked(delivery: Delivery, reason: str) -> Publication:
    text = delivery.payload.decode("utf-8", "backslashreplace")
    parked = Parked(stream=delivery.stream, key=delivery.key, payload=text, reason=reason)
    return Publication(DEAD, f"parked:{delivery.stream}:{delivery.entry_id}", parked)
