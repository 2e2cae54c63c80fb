"""The only consume loop: claim, read, decode, process, publish and acknowledge, for every worker alike.

Exit codes: 0 stopped or drained; 70 the engine or the memory gave out, start again in a fresh process.
"""

import functools
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import structlog

from monitor.errors import BackPressure, CellvigilError, EngineFailure
from monitor.messages import FrameFailed, Message, Parked
from services.settings import DeliverySettings
from services.transport.backoff import Backoff
from services.transport.bus import Bus, Delivery
from services.transport.codec import UnknownMessage, decode
from services.transport.heartbeat import Heartbeat
from services.transport.stage import Done, Outcome, Publication, Reject, Retry, Stage
from services.transport.streams import DEAD

EXIT_OK = 0
EXIT_WORN_OUT = 70
RETRY_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0)
"""Pauses before an input whose outcome was `Retry` is tried again; after the last it is a dead letter."""


@dataclass(slots=True)
class _Work:
    delivery: Delivery
    message: Message
    retries: int = 0
    due: float = 0.0


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
        self._on_failure = on_failure
        self._group = group or stage.name
        self._consumer = consumer or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._log = structlog.get_logger().bind(stage=stage.name)
        self._backoff = Backoff(self._log)
        self._retries: list[_Work] = []
        self._next_claim = 0.0
        self._done = 0

    def run(self, stop: threading.Event, *, drain: bool = False) -> int:
        """Work until `stop` is set, or, when draining, until the streams are empty; return the exit code."""
        self._persist(lambda: self._bus.subscribe(self._streams, self._group, self._consumer), stop)
        with Heartbeat(self._bus, self._settings) as heartbeat:
            try:
                self._stage.warm_up()
                heartbeat.ready()
                self._log.info("ready", streams=self._streams)
                return self._loop(stop, heartbeat, drain)
            except (EngineFailure, MemoryError) as error:
                self._log.error("worn_out", error=str(error), mend="the supervisor starts a fresh process")
                return EXIT_WORN_OUT

    def _loop(self, stop: threading.Event, heartbeat: Heartbeat, drain: bool) -> int:
        ahead: list[_Work] = []
        while not stop.is_set():
            batch = ahead or self._fetch(stop, self._settings.block_s)
            ahead = self._fetch(stop, 0.0) if batch else []
            if ahead:
                self._stage.prefetch([work.message for work in ahead])
            self._work(batch, stop)
            heartbeat.progressed(done=self._done)
            if drain and not batch and self._drained(stop):
                return EXIT_OK
        self._release(ahead + self._retries)
        return EXIT_OK

    def _fetch(self, stop: threading.Event, block_s: float) -> list[_Work]:
        """Return work: what is due again, what others left behind, what is new."""
        now = time.monotonic()
        due = [work for work in self._retries if work.due <= now]
        if due:
            self._retries = [work for work in self._retries if work.due > now]
            return due
        found: list[Delivery] = []
        if now >= self._next_claim:
            self._next_claim = now + self._settings.beat_s
            found = self._persist(lambda: self._bus.claim(self._batch_size, self._settings.claim_idle_s), stop) or []
        if not found:
            found = self._persist(lambda: self._bus.read(self._batch_size, block_s), stop) or []
        return [work for delivery in found if (work := self._decoded(delivery, stop)) is not None]

    def _decoded(self, delivery: Delivery, stop: threading.Event) -> _Work | None:
        try:
            return _Work(delivery, decode(delivery.payload))
        except UnknownMessage as error:
            self._log.error("parked", key=delivery.key, error=str(error), mend="upgrade this worker, then requeue")
            text = delivery.payload.decode("utf-8", "backslashreplace")
            parked = Parked(stream=delivery.stream, key=delivery.key, payload=text, reason=error.reason)
            output = Publication(DEAD, f"parked:{delivery.stream}:{delivery.entry_id}", parked)
            self._persist(lambda: self._bus.settle(delivery, [output]), stop)
            return None

    def _work(self, batch: list[_Work], stop: threading.Event) -> None:
        """Process a batch; what was delivered before may have killed a worker, so it goes alone and is counted."""
        together = [work for work in batch if work.delivery.deliveries < 2]
        if together:
            self._process(together, stop)
        for work in batch:
            if work.delivery.deliveries >= 2 and not stop.is_set():
                self._process_suspect(work, stop)

    def _process_suspect(self, work: _Work, stop: threading.Event) -> None:
        strikes = self._persist(lambda: self._bus.strike(work.delivery), stop)
        if strikes is not None and strikes > self._settings.max_solo_attempts:
            message = f"a worker died {self._settings.max_solo_attempts} times on this input alone; look at the file"
            self._settle(work, Reject(CellvigilError(message, reason="crashed_worker")), stop)
        else:
            self._process([work], stop)

    def _process(self, batch: list[_Work], stop: threading.Event) -> None:
        outcomes = self._outcomes(batch, stop)
        for work, outcome in zip(batch, outcomes, strict=True):
            self._settle(work, outcome, stop)

    def _outcomes(self, batch: list[_Work], stop: threading.Event) -> list[Outcome]:
        try:
            outcomes = self._persist(lambda: self._stage.process([work.message for work in batch]), stop)
        except (EngineFailure, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 (the one place where a stage's surprise must not end the worker)
            self._log.exception("stage_raised", inputs=len(batch))
            if len(batch) == 1:
                return [Retry(CellvigilError(f"{type(error).__name__}: {error}", reason="stage_error"))]
            return [outcome for work in batch for outcome in self._outcomes([work], stop)]
        if outcomes is None:
            return [Retry(BackPressure("stopped while waiting", reason="stopped")) for _ in batch]
        if len(outcomes) != len(batch):
            raise RuntimeError(f"{self._stage.name} returned {len(outcomes)} outcomes for {len(batch)} inputs")
        checked: list[Outcome] = outcomes
        return checked

    def _settle(self, work: _Work, outcome: Outcome, stop: threading.Event) -> None:
        if isinstance(outcome, Retry):
            if work.retries < len(RETRY_PAUSES_S):
                work.due = time.monotonic() + RETRY_PAUSES_S[work.retries]
                work.retries += 1
                self._retries.append(work)
                return
            outcome = Reject(outcome.error)
        outputs = outcome.outputs if isinstance(outcome, Done) else self._given_up(work, outcome.error)
        self._persist(lambda: self._bus.settle(work.delivery, outputs), stop)
        self._done += 1

    def _given_up(self, work: _Work, error: CellvigilError) -> tuple[Publication, ...]:
        self._log.warning("given_up", key=work.delivery.key, reason=error.reason, error=str(error))
        frame_id = getattr(work.message, "frame_id", None)
        if frame_id is None:
            text = work.delivery.payload.decode("utf-8", "backslashreplace")
            parked = Parked(stream=work.delivery.stream, key=work.delivery.key, payload=text, reason=error.reason)
            return (Publication(DEAD, f"parked:{work.delivery.key}", parked),)
        failure = FrameFailed(frame_id=frame_id, stage=self._stage.name, reason=error.reason, detail=str(error))
        self._on_failure(failure)
        return (Publication(DEAD, f"dead:{self._stage.name}:{frame_id}", failure),)

    def _drained(self, stop: threading.Event) -> bool:
        if self._retries:
            return False
        count = functools.partial(self._bus.waiting, group=self._group)
        counts = [self._persist(functools.partial(count, stream), stop) for stream in self._streams]
        return all(count == 0 for count in counts)

    def _release(self, held: list[_Work]) -> None:
        try:
            self._bus.release([work.delivery for work in held])
        except BackPressure:
            self._log.info("not_released", inputs=len(held), mend="they are delivered again once this worker is gone")

    def _persist(self, call: Callable[[], Any], stop: threading.Event) -> Any:  # noqa: ANN401 (hands through any result)
        """Call until it does not meet back-pressure; None when `stop` came first."""
        while True:
            try:
                result = call()
            except BackPressure as error:
                if self._backoff.wait(stop, str(error)):
                    return None
            else:
                self._backoff.over()
                return result


def install_signals(stop: threading.Event) -> None:
    """Let the first SIGTERM or SIGINT finish the work in hand, and the second end the process at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
