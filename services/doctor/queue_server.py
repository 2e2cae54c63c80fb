"""The queue server: which one would be used, which version it is, and whether it keeps what it was given."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from monitor.errors import SettingsError
from services.doctor.check import Check, ok, problem, warning
from services.doctor.probe import Answer, ask, ask_python

OLDEST = (7, 0)
CONNECT_TIMEOUT_S = 15.0
VERSION_TIMEOUT_S = 5.0

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


def check_queue(url: str | None, state: Path) -> Iterator[Check]:
    """Yield which server a run would use and, when it runs already, how it keeps its data."""
    from services.transport.server import server_status

    named = url or os.environ.get("REDIS_URL")
    if named:
        yield from running_checks(ask_queue(named), without_password(named))
        return
    running = server_status(state)
    if running:
        yield from running_checks(ask_queue(running.url), f"the state folder's own {running.url}")
    else:
        yield server_check()


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


def server_check() -> Check:
    """Name the server program that a run would start."""
    from services.transport.server import server_program

    name = "queue server"
    try:
        program = server_program()
    except SettingsError as error:
        return problem(name, "no Redis or Valkey of version 7 or newer to start", str(error))
    version = version_of(ask([str(program), "--version"], VERSION_TIMEOUT_S).output)
    return ok(name, f"{program} {'.'.join(str(part) for part in version)} would be started")


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
