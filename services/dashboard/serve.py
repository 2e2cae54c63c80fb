"""The page as a process: it listens, says where, and ends on a signal."""

import asyncio
import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from monitor.errors import SettingsError
from services.dashboard.app import make_app
from services.dashboard.installation import Installation, check_reach, open_installation
from services.dashboard.users import Users
from services.settings import Settings
from services.state_folder import StateFolder
from services.telemetry import get_log

GRACE_S = 1
LOOK_S = 0.2


def serve(settings: Settings, stop: threading.Event, listening: Callable[[str], None] = lambda url: None) -> int:
    """Serve the page until `stop`; return the exit code.

    `listening` is called with the address once the page can be opened.

    Raises
    ------
    SettingsError
        Strangers could reach it, or the address is taken.
    """
    installation = open_installation(settings)
    check_reach(installation.users, settings.dashboard)
    with _bound(settings) as listener:
        url = url_of(installation, listener)

        def tell() -> None:
            _write(installation.state.page, {"url": url, "pid": os.getpid()})
            listening(url)

        try:
            asyncio.run(_serve(installation, listener, stop, tell))
        finally:
            installation.state.page.unlink(missing_ok=True)
    return 0


def check_page(settings: Settings) -> None:
    """Refuse now what the page would refuse when it starts.

    Raises
    ------
    SettingsError
        Strangers could reach it, or the address is taken.
    """
    check_reach(Users(StateFolder(settings.state).users), settings.dashboard)
    _bound(settings).close()


def _write(file: Path, told: dict[str, object]) -> None:
    """Write a small file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(told), encoding="utf-8")
    part.replace(file)


def url_of(installation: Installation, listener: socket.socket) -> str:
    """Return the address to open in a browser."""
    own = installation.own
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    return f"{own.scheme}://{f'[{shown}]' if ':' in shown else shown}:{port}/"


async def _serve(
    installation: Installation, listener: socket.socket, stop: threading.Event, listening: Callable[[], None]
) -> None:
    own = installation.own
    config = uvicorn.Config(
        make_app(installation),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=own.behind_tls,
        ws="websockets-sansio",
        ws_max_size=4096,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=30,
        limit_concurrency=2 * own.live_most + 256,
        ssl_certfile=own.tls_certificate,
        ssl_keyfile=own.tls_key,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    told = False
    while not task.done():
        if server.started and not told:
            told = True
            get_log("dashboard").info("listening", address=listener.getsockname()[0], port=listener.getsockname()[1])
            listening()
        if stop.is_set():
            server.should_exit = True
        await asyncio.sleep(LOOK_S)
    await task


class _Server(uvicorn.Server):
    """Leaves signals to the process, which has its own way of ending."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _bound(settings: Settings) -> socket.socket:
    own = settings.dashboard
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(own.host, own.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        message = f"cannot listen on {own.host} port {own.port}: {error}; stop what does, or give another --port"
        raise SettingsError(message, reason="address") from error
    return listener
