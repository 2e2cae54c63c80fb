"""What operators did to alarms, brought from the record to the flasks' predictors, beside a predictor.

It does not pass through the process that watches the folder: somebody can acknowledge an alarm while the share is dead.
"""

import threading
from collections.abc import Sequence

from monitor.errors import CellvigilError
from monitor.messages import OperatorActed
from services.alarms.culture_time import shelves_that_end
from services.clock import Clock, make_clock
from services.settings import Settings
from services.state_folder import StateFolder
from services.store.ledger import Ledger
from services.store.record_sqlite import SqliteRecord
from services.telemetry import get_log
from services.transport.bus import Bus
from services.transport.redis_streams import RedisBus
from services.transport.stage import Publication
from services.transport.streams import FLASK_EVENTS

LOOK_S = 0.5


class ActionCourier(threading.Thread):
    """Publishes actions that are in no history yet; used as a context around a predictor.

    Each is published once in the life of a queue, whoever brings it, and again when the queue was lost.
    """

    def __init__(self, settings: Settings, state: StateFolder, url: str) -> None:
        super().__init__(name="actions", daemon=True)
        self._settings, self._state, self._url = settings, state, url
        self._clock = make_clock(settings.clock)
        self._closing = threading.Event()
        self._told = ""

    def __enter__(self) -> "ActionCourier":
        """Publish what waits, and go on in a thread of its own."""
        self._look()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._closing.set()
        self.join()

    def run(self) -> None:
        """Look twice a second until it ends."""
        while not self._closing.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        """Look once; what fails is told once and tried again, for a predictor must not end by it."""
        bus = RedisBus(self._url, self._settings.server.prefix)
        try:
            with SqliteRecord(self._state.record, readonly=True) as record:
                carry(bus, actions_of(record, self._state, self._clock), self._settings.predictor.partitions)
            self._told = ""
        except CellvigilError as error:
            if self._told != str(error):
                get_log("predictor").warning("actions_wait", error=str(error), mend="tried again at once")
            self._told = str(error)
        finally:
            bus.close()


def carry(bus: Bus, actions: Sequence[OperatorActed], partitions: int) -> None:
    """Publish actions for the flasks' predictors. Raises `BackPressure`."""
    bus.publish(
        [
            Publication(FLASK_EVENTS.stream(acted.flask, partitions), f"acted:{acted.action_id}", acted)
            for acted in actions
        ]
    )


def actions_of(record: SqliteRecord, state: StateFolder, clock: Clock) -> list[OperatorActed]:
    """Return what operators did that is in no history yet, and what the end of a time on the shelf does."""
    waiting = record.waiting_actions()
    shelved = [standing for standing in record.standings() if standing.shelved_until is not None]
    if not shelved:
        return waiting
    arrivals = {}
    if state.ledger.is_file():
        with Ledger(state.ledger, readonly=True) as ledger:
            arrivals = ledger.last_arrivals()
    return [*waiting, *shelves_that_end(shelved, arrivals, clock.now())]
