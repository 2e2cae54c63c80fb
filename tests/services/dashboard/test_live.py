"""What a tab is told, by a real server process, while a predictor writes."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import httpx
import pytest
import websockets
from browser_site import Site
from cases.page_state import bring_in, take_in_actions
from cases.wall_fleet import wall_row
from websockets.asyncio.client import ClientConnection

from monitor.culture.settings import CultureSettings
from monitor.messages import OperatorAction
from services.alarms.acting import UNSEEN, Wish, perform
from services.dashboard.effective_settings import EffectiveSettings
from services.dashboard.hub import WAITING_MOST, Hub
from services.dashboard.roles import Role
from services.dashboard.schemas import AlarmsMessage
from services.settings import Settings
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.workers.predictor import FlaskFolder

LATE_S = 2.0


def live_url(site: Site) -> str:
    return site.url.replace("http", "ws", 1) + "/live"


async def next_of(socket: ClientConnection, kind: str) -> dict:
    async with asyncio.timeout(20.0):
        while True:
            message = json.loads(await socket.recv())
            if message["type"] == kind:
                return message


def watch(site: Site, look: Callable[[ClientConnection], Awaitable[None]], **options: object) -> None:
    async def run() -> None:
        async with websockets.connect(live_url(site), origin=site.url, **options) as socket:
            await look(socket)

    asyncio.run(run())


def test_a_new_estimate_is_told_within_two_seconds(site: Site):
    newest = httpx.get(f"{site.url}/api/v1/fleet", timeout=30.0).json()["now"]
    moment = datetime.fromisoformat(newest) + timedelta(minutes=1)
    row = wall_row("MSC-1A", moment, 321)
    late = []

    async def look(socket: ClientConnection) -> None:
        first = await next_of(socket, "fleet")
        assert len(first["fleet"]["flasks"]) > 20
        with SqliteRecord(site.state.record) as record:
            bring_in(record, FlaskFolder(CultureSettings()), row)
        stored = time.monotonic()
        told = await next_of(socket, "estimate")
        late.append(time.monotonic() - stored)
        assert (told["flask"], told["new_frames"]) == ("MSC-1A", [row.frame_id])
        assert told["tile"]["last_frame_id"] == row.frame_id
        assert told["points"]["cells"][:2] == [moment.timestamp(), 321.0]

    watch(site, look)
    assert late[0] < LATE_S  # a promise to people, not a speed: it looks four times a second


def test_alarms_that_move_are_told(site: Site):
    async def look(socket: ClientConnection) -> None:
        first = await next_of(socket, "fleet")
        unseen = first["fleet"]["unseen_alarms"]
        done = perform(site.state.root, Wish(OperatorAction.ACKNOWLEDGE, "MSC-4A", "optics", "bo", ""), 0.0)
        assert done.acted is not None
        take_in_actions(site.state)
        with SqliteRecord(site.state.record, readonly=True) as record:
            left = sum(standing.status in UNSEEN for standing in record.standings())
        told = AlarmsMessage.model_validate(await next_of(socket, "alarms"))
        while "MSC-4A" not in told.flasks:  # what the test before did may be told first
            told = AlarmsMessage.model_validate(await next_of(socket, "alarms"))
        # what other tests of this state folder wanted was taken in with it
        assert told.unseen == left <= unseen - 1

    watch(site, look)


def test_a_tab_of_another_site_hears_nothing(site: Site):
    async def run() -> None:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(live_url(site), origin="http://elsewhere.example"):
                pass
        assert refused.value.response.status_code == 403

    asyncio.run(run())


def test_a_stranger_hears_nothing_and_a_token_does(guarded):
    async def run() -> None:
        url = live_url(guarded.site)
        with pytest.raises(websockets.InvalidStatus):
            async with websockets.connect(url, origin=guarded.site.url):
                pass
        headers = {"Authorization": f"Bearer {guarded.tokens[Role.VIEWER]}"}
        async with websockets.connect(url, additional_headers=headers) as socket:
            await next_of(socket, "fleet")

    asyncio.run(run())


def test_twelve_tabs_are_told_the_same(site: Site):
    async def run() -> None:
        sockets = [await websockets.connect(live_url(site), origin=site.url) for _ in range(12)]
        for socket in sockets:
            await next_of(socket, "fleet")
        row = wall_row("MSC-1B", datetime.fromisoformat("2030-01-01T00:00:00Z"), 77)
        with SqliteRecord(site.state.record) as record:
            bring_in(record, FlaskFolder(CultureSettings()), row)
        told = await asyncio.gather(*(next_of(socket, "estimate") for socket in sockets))
        assert all(one == told[0] for one in told)
        for socket in sockets:
            await socket.close()

    asyncio.run(run())


def test_there_is_an_end_of_tabs(recorded: StateFolder):
    hub = Hub(recorded, EffectiveSettings(recorded, Settings()), most=2)
    first, second = hub.join(), hub.join()

    assert hub.join() is None
    assert first is not None
    assert second is not None
    hub.leave(first)
    assert hub.join() is not None


def test_a_tab_that_takes_nothing_is_dropped_and_told_so(recorded: StateFolder):
    hub = Hub(recorded, EffectiveSettings(recorded, Settings()), most=2)
    idle, lively = hub.join(), hub.join()
    assert idle is not None
    assert lively is not None
    for number in range(WAITING_MOST + 1):
        hub._tell(str(number))
        assert lively.get_nowait() == str(number)

    assert hub.clients == 1
    assert hub.dropped == 1
    assert idle.get_nowait() is None
