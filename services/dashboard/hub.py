"""What every tab is told as soon as it is stored.

One thread looks at the record four times a second; what it finds is written once and handed to every tab. A tab that
does not take what it is sent is dropped: it joins again by itself and gets everything anew.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from pydantic import BaseModel

from monitor.errors import CellvigilError
from monitor.messages import MACHINE
from services.dashboard.columns import Columns
from services.dashboard.courses import Traces
from services.dashboard.effective_settings import EffectiveSettings
from services.dashboard.quantities import QUANTITIES
from services.dashboard.readings import Changes, Readings
from services.dashboard.schemas import (
    AlarmsMessage,
    EstimateMessage,
    FleetMessage,
    LiveHeartbeat,
    Points,
    TileMessage,
)
from services.dashboard.tiles import fleet_of, machine_of, open_of, tile_of, unseen_of
from services.state_folder import StateFolder
from services.telemetry import get_log

LOOK_S = 0.25
HEARTBEAT_S = 15.0
STATES_S = 5.0
"""How often it is looked whether a flask grew stale though nothing was stored."""
SESSION_S = 60.0
WAITING_MOST = 200
"""Messages that a tab may leave lying."""
NEW_MOST = 50
AHEAD_S = 0.15
"""How long a look may fold flasks ahead when nothing is new."""
POLICY, TRY_LATER, GOING = 1008, 1013, 1001


class Hub:
    """Follows a state folder and tells every tab."""

    def __init__(self, state: StateFolder, effective: EffectiveSettings, most: int) -> None:
        self.readings = Readings(state)
        self.courses = Traces(state, effective.settings.culture)
        self._effective = effective
        self._most = most
        self._tabs: set[asyncio.Queue[str | None]] = set()
        self._states: dict[str, str] = {}
        self._states_due = 0.0
        self._beat_due = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="look")
        self.dropped = 0

    @property
    def clients(self) -> int:
        """How many tabs are open."""
        return len(self._tabs)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the state folder while the context lasts."""
        task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            for tab in self._tabs:
                tab.put_nowait(None)
            self._thread.shutdown(wait=True)
            self.readings.close()

    def join(self) -> "asyncio.Queue[str | None] | None":
        """Return what a new tab is told from now on, None at its end; None where there are too many tabs."""
        if len(self._tabs) >= self._most:
            return None
        tab: asyncio.Queue[str | None] = asyncio.Queue(WAITING_MOST)
        self._tabs.add(tab)
        return tab

    def leave(self, tab: "asyncio.Queue[str | None]") -> None:
        """Tell a tab nothing more."""
        self._tabs.discard(tab)

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            messages = await loop.run_in_executor(self._thread, self._news, loop.time())
            for message in messages:
                self._tell(message.model_dump_json())
            await asyncio.sleep(LOOK_S)

    def _tell(self, text: str) -> None:
        for tab in list(self._tabs):
            try:
                tab.put_nowait(text)
            except asyncio.QueueFull:
                self._tabs.discard(tab)
                self.dropped += 1
                while not tab.empty():
                    tab.get_nowait()
                tab.put_nowait(None)

    def _news(self, now_s: float) -> Sequence[BaseModel]:
        """Return what to tell, in the thread that looks."""
        try:
            changes = self.readings.look()
        except (OSError, CellvigilError) as error:
            get_log("dashboard").warning("not_read", error=str(error), mend="tried again at once")
            return []
        messages: list[BaseModel] = self._told(changes) if changes else []
        if changes.anew:
            self.courses.forget()
        self.courses.follow(self._effective.settings.culture)
        if not changes:
            self.courses.work_ahead(self.readings.flasks(), time.monotonic() + AHEAD_S)
        if now_s >= self._states_due:
            self._states_due = now_s + STATES_S
            messages += self._grown_stale()
        if now_s >= self._beat_due:
            self._beat_due = now_s + HEARTBEAT_S
            messages.append(LiveHeartbeat(now=self._effective.clock.now(), revision=self.readings.revision))
        return messages

    def _told(self, changes: Changes) -> list[BaseModel]:
        if changes.whole:
            messages: list[BaseModel] = [self.fleet_message()]
        else:
            messages = [
                *(self._estimate(flask, changes) for flask in sorted({*changes.frames, *changes.revised} - {MACHINE})),
                *(self._tile(flask) for flask in sorted(changes.alarms - changes.frames.keys() - {MACHINE})),
            ]
        if changes.alarms:
            standings = self.readings.all_standings()
            machine, flasks = machine_of(self.readings), sorted(changes.alarms)
            messages.append(
                AlarmsMessage(open=open_of(standings), unseen=unseen_of(standings), flasks=flasks, machine=machine)
            )
        return messages

    def fleet_message(self) -> FleetMessage:
        """Return everything at once."""
        fleet = fleet_of(self.readings, self._effective.settings, self._effective.clock)
        self._states = {tile.flask: tile.state for tile in fleet.flasks}
        return FleetMessage(fleet=fleet)

    def _estimate(self, flask: str, changes: Changes) -> EstimateMessage:
        with self.readings.lock:
            tile = tile_of(flask, self.readings, self._effective.clock.now())
            points = newest_points(self.readings.columns(flask))
        self._states[flask] = tile.state
        new = changes.frames.get(flask, [])[-NEW_MOST:]
        return EstimateMessage(flask=flask, tile=tile, points=points, new_frames=new)

    def _tile(self, flask: str) -> TileMessage:
        with self.readings.lock:
            tile = tile_of(flask, self.readings, self._effective.clock.now())
        self._states[flask] = tile.state
        return TileMessage(flask=flask, tile=tile)

    def _grown_stale(self) -> list[BaseModel]:
        now, moved = self._effective.clock.now(), []
        with self.readings.lock:
            for flask in self.readings.flasks():
                if flask != MACHINE:
                    tile = tile_of(flask, self.readings, now)
                    if self._states.get(flask, tile.state) != tile.state:
                        moved.append(TileMessage(flask=flask, tile=tile))
                    self._states[flask] = tile.state
        return list(moved)


def newest_points(columns: Columns | None) -> dict[str, Points]:
    """Return the newest frame in every series: time, value, low, high."""
    if columns is None or not len(columns):
        return {}
    return {name: [columns.newest("t"), *quantity.newest(columns)] for name, quantity in QUANTITIES.items()}
