"""From the ledger into the queue: every frame once, again after the queue was lost, oldest first."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from monitor.culture.rows import ConditionRow
from monitor.messages import ConditionObserved, FlaskSilent, FrameArrived
from services.store.ledger import Ledger, Settled
from services.transport.bus import Bus
from services.transport.stage import Publication
from services.transport.streams import FLASK_EVENTS, FRAMES, waiting_in

BATCH = 200


class Publisher:
    """Publishes what the ledger holds and the queue does not.

    The ledger is written first: a frame is `arrived` there before it is published and `queued` after, so that a crash
    in between publishes it again, which its key turns into nothing.

    Parameters
    ----------
    settled
        Says which of some frames have a result, for filling a new queue with the rest.
    """

    def __init__(self, bus: Bus, ledger: Ledger, settled: Settled, log: Any) -> None:  # noqa: ANN401 (structlog's loggers have no common type)
        self._bus = bus
        self._ledger = ledger
        self._settled = settled
        self._log = log

    def follow(self) -> None:
        """Note what has a result; bring a queue that is another one than before what it lacks. Raises `BackPressure`.

        The new life of the queue is marked before the first frame goes into it: a queue that is lost again half-way is
        then seen to be new again.
        """
        self._ledger.mark_settled(self._settled)
        if self._bus.epoch() is None:
            forgotten = self._ledger.mark_unqueued(self._settled)
            self._bus.begin_epoch()
            self._log.info("queue_is_new", frames_queued_again=forgotten)
        while waiting := self._ledger.unqueued(BATCH):
            self.publish(waiting)

    def repeat(self) -> None:
        """Publish again what has no result, when the queue says that nobody has anything to do. Raises `BackPressure`.

        Entries that a queue forgot without being wiped, as after a power cut, come back; for any other the key says
        that it was published.
        """
        if not any(waiting_in(self._bus, 1, [FRAMES]).values()):
            part: list[FrameArrived] = []
            for frame in self._ledger.unfinished(self._settled):
                part.append(frame)
                if len(part) == BATCH:
                    self.publish(part)
                    part = []
            if part:
                self.publish(part)

    def publish(self, frames: Sequence[FrameArrived]) -> None:
        """Queue frames and note it in the ledger. Raises `BackPressure`."""
        self._bus.publish([Publication(FRAMES.stream(), f"frame:{frame.frame_id}", frame) for frame in frames])
        self._ledger.mark_queued(frame.frame_id for frame in frames)

    def observe(self, observed: Sequence[ConditionObserved], partitions: int) -> None:
        """Queue what was seen beside the pictures, each once. Raises `BackPressure`."""
        publications = []
        for one in observed:
            digest = ConditionRow.of(one).row_id[:32]
            publications.append(Publication(FLASK_EVENTS.stream(one.flask, partitions), f"condition:{digest}", one))
        self._bus.publish(publications)

    def longest_wait_s(self, now: datetime, partitions: int) -> float:
        """Return for how long the oldest frame without a result has been here; 0 when no worker has anything to do."""
        if not any(waiting_in(self._bus, partitions, [FRAMES, FLASK_EVENTS]).values()):
            return 0.0
        oldest = next(self._ledger.unfinished(self._settled), None)
        return 0.0 if oldest is None else (now - oldest.arrived_at).total_seconds()

    def tell(self, silent: FlaskSilent, partitions: int) -> None:
        """Queue a silence for the flask's predictor, once. Raises `BackPressure`."""
        flask = hashlib.sha256(silent.flask.encode()).hexdigest()[:16]
        stream = FLASK_EVENTS.stream(silent.flask, partitions)
        self._bus.publish([Publication(stream, f"silent:{flask}:{silent.last_frame_id}", silent)])
