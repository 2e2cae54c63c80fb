"""`/live`: one WebSocket per tab, which passes on what the hub tells."""

import asyncio
import contextlib

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from monitor.errors import CellvigilError
from services.dashboard.guard import cookies_of
from services.dashboard.installation import Installation
from services.dashboard.roles import Role, may

SESSION_S = 60.0
POLICY, TRY_LATER, GOING = 1008, 1013, 1001


async def live(socket: WebSocket) -> None:
    """Serve a tab until it goes, its sign-in ends, or it does not take what it is sent."""
    page: Installation = socket.app.state.installation
    if not await run_in_threadpool(_may_listen, socket, page):
        await socket.close(POLICY)
        return
    await socket.accept()
    tab = page.hub.join()
    if tab is None:
        await socket.close(TRY_LATER, "too many tabs are open")
        return
    sender = asyncio.create_task(_send(socket, page, tab))
    try:
        while True:  # a tab has nothing to say; what it sends is not read further
            await socket.receive_text()
    except (WebSocketDisconnect, KeyError):
        pass
    finally:
        page.hub.leave(tab)
        sender.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sender


async def _send(socket: WebSocket, page: Installation, tab: "asyncio.Queue[str | None]") -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
        first = await run_in_threadpool(page.hub.fleet_message)
        await socket.send_text(first.model_dump_json())
        due = loop.time() + SESSION_S
        while (text := await tab.get()) is not None:
            if loop.time() >= due:
                due = loop.time() + SESSION_S
                if not await run_in_threadpool(_may_listen, socket, page):
                    await socket.close(POLICY, "signed out")
                    return
            await socket.send_text(text)
        await socket.close(GOING if not page.hub.clients else TRY_LATER)


def _may_listen(socket: WebSocket, page: Installation) -> bool:
    address = socket.client.host if socket.client else ""
    try:
        visitor = page.guard.visitor(socket.headers, cookies_of(socket.headers), address)
        page.guard.check_origin(socket.headers, required=visitor.how != "token")
    except CellvigilError:
        return False
    return may(visitor.role, Role.VIEWER)
