import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.doctor.check import Level
from services.doctor.probe import Answer
from services.doctor.queue_server import (
    ask_queue,
    check_queue,
    persistence_check,
    running_checks,
    server_check,
)
from services.settings import ServerSettings
from services.transport.server import ensure_server, server_program, stop_server

GOOD_SERVER = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "last_write": "ok"}


@pytest.fixture
def careless_server(tmp_path: Path) -> Iterator[str]:
    """Run a server that keeps nothing; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--requirepass", "s3cret"]
    process = subprocess.Popen(
        [server_program(), *options, "--appendonly", "no", "--maxmemory-policy", "allkeys-lru"],
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://:s3cret@127.0.0.1:{port}/0"
    try:
        while not ask_queue(url).succeeded:
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_running_server_that_throws_entries_away_is_a_problem(careless_server: str, tmp_path: Path):
    server, persistence = check_queue(careless_server, tmp_path)

    assert server.level is Level.OK
    assert "s3cret" not in server.what
    assert persistence.level is Level.PROBLEM
    assert "noeviction" in persistence.mend


def test_address_that_does_not_answer_is_a_problem(tmp_path: Path):
    (check,) = check_queue("redis://127.0.0.1:1/0", tmp_path)

    assert check.level is Level.PROBLEM
    assert "does not answer" in check.what


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({}, Level.OK),
        ({"appendfsync": "everysec"}, Level.WARNING),
        ({"appendonly": "no"}, Level.WARNING),
        ({"maxmemory-policy": "allkeys-lru"}, Level.PROBLEM),
        ({"last_write": "err"}, Level.PROBLEM),
    ],
)
def test_persistence(changed: dict[str, str], level: Level):
    check = persistence_check(GOOD_SERVER | changed)

    assert check.level is level
    assert bool(check.mend) == (level is not Level.OK)


@pytest.mark.parametrize(("version", "role"), [("6.2.14", "master"), ("7.0.15", "slave")])
def test_old_server_and_replica_are_problems(version: str, role: str):
    told = GOOD_SERVER | {"name": "redis", "version": version, "role": role}

    server, _ = running_checks(Answer(True, json.dumps(told)), "here")

    assert server.level is Level.PROBLEM


def test_server_that_would_be_started_is_named_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = fake_server(tmp_path / "valkey-server", "Valkey server v=8.1.0")
    monkeypatch.setenv("PATH", str(tmp_path))

    (check,) = check_queue(None, tmp_path / "state")

    assert check.what == f"{server} 8.1.0 would be started"


def test_old_server_on_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake_server(tmp_path / "redis-server", "Redis server v=6.0.16")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "redis-server" not in server_check().what


def test_server_of_the_state_folder_is_found_and_keeps_everything(tmp_path: Path):
    ensure_server(tmp_path, ServerSettings())
    try:
        checks = list(check_queue(None, tmp_path))
    finally:
        stop_server(tmp_path)

    assert [check.level for check in checks] == [Level.OK, Level.OK], checks
    assert "the state folder's own" in checks[0].what


def fake_server(path: Path, version: str) -> Path:
    path.write_text(f"#!{sys.executable}\nprint({version!r})\n")
    path.chmod(0o755)
    return path
