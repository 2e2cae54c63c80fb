"""The queue server is found or started, outlives its starter, and is stopped without loss."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from monitor.errors import SettingsError
from services.settings import ServerSettings
from services.transport import server as server_module
from services.transport.server import ServerHandle, ensure_server, server_program, server_status, stop_server

NONE = ServerSettings()
START = "import sys; from pathlib import Path; from services.settings import ServerSettings; " + (
    "from services.transport.server import ensure_server; "
    "print(ensure_server(Path(sys.argv[1]), ServerSettings()).pid, flush=True); sys.stdin.read()"
)


@pytest.fixture(autouse=True)
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, which pytest's own is not always."""
    root = Path(tempfile.mkdtemp(prefix="cvs", dir="/tmp"))
    yield root
    for state in [path.parent for path in root.rglob("redis") if path.is_dir()]:
        stop_server(state)
    shutil.rmtree(root)


def ask(handle: ServerHandle, *command: object) -> object:
    with redis.Redis.from_url(handle.url, protocol=2) as client:
        return client.execute_command(*command)


def setting(handle: ServerHandle, name: str) -> str:
    with redis.Redis.from_url(handle.url, protocol=2, decode_responses=True) as client:
        return client.config_get(name)[name]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_server_is_started_as_the_design_says(folder: Path):
    handle = ensure_server(folder, NONE)

    assert handle.owned
    assert handle.url.startswith("unix://")
    assert int(handle.version.split(".")[0]) >= 7
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory": str(1 << 30),
        "maxmemory-policy": "noeviction",
        "port": "0",
        "protected-mode": "yes",
        "dir": str(folder.resolve() / "redis"),
        "unixsocketperm": "700",
    }
    assert {name: setting(handle, name) for name in wanted} == wanted


def test_running_server_is_attached_to(folder: Path):
    first = ensure_server(folder, NONE)

    assert ensure_server(folder, NONE) == first
    assert server_status(folder) == first


def test_stopped_server_is_gone_and_its_entries_are_kept(folder: Path):
    handle = ensure_server(folder, NONE)
    ask(handle, "SET", "kept", "yes")

    assert stop_server(folder)

    until(lambda: not alive(handle.pid))
    assert server_status(folder) is None
    assert not stop_server(folder)
    assert ask(ensure_server(folder, NONE), "GET", "kept") == b"yes"


def test_killed_server_is_started_again_with_its_entries(folder: Path):
    handle = ensure_server(folder, NONE)
    ask(handle, "SET", "kept", "yes")
    os.kill(handle.pid, signal.SIGKILL)
    until(lambda: server_status(folder) is None)

    again = ensure_server(folder, NONE)

    assert again.pid != handle.pid
    assert ask(again, "GET", "kept") == b"yes"


def test_server_outlives_a_killed_starter(folder: Path):
    starter = subprocess.Popen(
        [sys.executable, "-c", START, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    )
    with starter:
        pid = int(starter.stdout.readline())
        os.killpg(starter.pid, signal.SIGKILL)

    assert alive(pid)
    assert ensure_server(folder, NONE).pid == pid


def test_two_starters_meet_on_one_server(folder: Path):
    handles: list[ServerHandle] = []
    threads = [threading.Thread(target=lambda: handles.append(ensure_server(folder, NONE))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(handles) == 6
    assert len(set(handles)) == 1


def test_two_state_folders_never_meet(folder: Path):
    one, other = ensure_server(folder / "one", NONE), ensure_server(folder / "other", NONE)
    ask(one, "SET", "mine", "1")

    assert one.pid != other.pid
    assert ask(other, "GET", "mine") is None
    stop_server(folder / "one")
    assert server_status(folder / "other") == other


@pytest.fixture
def deep(folder: Path) -> Path:
    return folder / ("a rather long name # of a study/" * 4) / "state"


def test_long_path_gets_a_short_socket(deep: Path):
    handle = ensure_server(deep, NONE)

    socket = Path((deep / "redis" / "socket.path").read_text())
    assert len(str(socket)) <= 100
    assert socket.parent.stat().st_mode & 0o077 == 0
    assert ask(handle, "PING")
    assert stop_server(deep)
    assert not socket.exists()


def test_long_path_is_found_by_a_process_with_another_temporary_folder(
    deep: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    handle = ensure_server(deep, NONE)

    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    assert ensure_server(deep, NONE) == handle


def test_copy_of_a_long_state_folder_does_not_find_the_originals_server(deep: Path):
    original = ensure_server(deep, NONE)
    shutil.copytree(deep, deep.with_name("copy"), ignore=shutil.ignore_patterns("*.sock"))

    copied = ensure_server(deep.with_name("copy"), NONE)

    assert copied.pid != original.pid


def test_name_with_blanks_quotes_and_signs_works(folder: Path):
    handle = ensure_server(folder / 'a "b" #c %41 ü?', NONE)

    assert ask(handle, "PING")


def test_lost_socket_is_mended(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_module, "ANSWER_S", 0.2)
    handle = ensure_server(folder, NONE)
    ask(handle, "SET", "kept", "yes")
    (folder / "redis" / "server.sock").unlink()

    again = ensure_server(folder, NONE)

    assert again.pid != handle.pid
    until(lambda: not alive(handle.pid))
    assert ask(again, "GET", "kept") == b"yes"


def test_server_that_does_not_answer_is_not_taken_for_dead(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_module, "ANSWER_S", 0.2)
    handle = ensure_server(folder, NONE)
    os.kill(handle.pid, signal.SIGSTOP)
    try:
        with pytest.raises(SettingsError, match=f"lives and does not answer.*{handle.pid}"):
            ensure_server(folder, NONE)
    finally:
        os.kill(handle.pid, signal.SIGCONT)

    assert ensure_server(folder, NONE) == handle


def test_server_that_does_not_stop_is_asked_by_signal_and_never_killed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_module, "ANSWER_S", 0.2)
    monkeypatch.setattr(server_module, "STOP_S", 0.3)
    handle = ensure_server(folder, NONE)
    os.kill(handle.pid, signal.SIGSTOP)

    with pytest.raises(SettingsError, match="does not stop"):
        stop_server(folder)

    assert alive(handle.pid)
    os.kill(handle.pid, signal.SIGCONT)
    until(lambda: not alive(handle.pid))
    log = (folder / "redis" / "server.log").read_text()
    assert "bye bye" in log


def test_folder_that_cannot_be_served_says_where_to_look(folder: Path):
    (folder / "redis").mkdir()
    (folder / "redis" / "appendonlydir").write_text("in the way")

    with pytest.raises(SettingsError, match=r"did not start.*server\.log"):
        ensure_server(folder, NONE)

    with (folder / "redis" / "life.lock").open("a") as life:
        fcntl.flock(life, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_listens_on_the_loopback_only_when_asked(folder: Path):
    handle = ensure_server(folder, NONE, port=(port := _free_port()))

    assert setting(handle, "bind") == "127.0.0.1"
    with redis.Redis(port=port, protocol=2) as client:
        assert client.ping()


def test_named_server_is_used_and_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch):
    theirs = ensure_server(folder / "theirs", NONE)
    named = ServerSettings(url=theirs.url)

    handle = ensure_server(folder / "ours", named)

    assert (handle.pid, handle.owned, handle.url) == (theirs.pid, False, theirs.url)
    assert not (folder / "ours").exists()
    monkeypatch.setenv("REDIS_URL", theirs.url)
    assert ensure_server(folder / "ours", NONE) == handle
    assert not stop_server(folder / "ours")


@pytest.mark.parametrize("url", ["redis://someone:secret@127.0.0.1:1/0", "amqp://someone:secret@host", "unix:///no"])
def test_named_server_that_is_away_is_an_error_without_its_password(folder: Path, url: str):
    with pytest.raises(SettingsError, match="does not answer") as caught:
        ensure_server(folder, ServerSettings(url=url))

    assert "secret" not in str(caught.value)


def test_program_on_the_path_comes_before_the_bundled_one_unless_it_is_old(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    usual = server_program()
    for name, version in (("valkey-server", "6.2.14"), ("redis-server", "7.0.15")):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho 'server v={version} sha=0'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    assert server_program() == folder / "redis-server"

    (folder / "redis-server").unlink()

    assert server_program() == usual


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
