"""The container files, checked without a container engine: what they say is parsed, what they start is started."""

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from services.doctor.queue_server import ask_queue, running_checks
from services.settings import load_settings
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.transport.server import server_program

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
WORKERS = {name: service for name, service in COMPOSE["services"].items() if name != "queue"}
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
STAGE_OF = {"segmenter-gpu": "segmenter", "page": "dashboard"}
CHAIN = ["ingester", "segmenter", "predictor", "notifier"]


def entry_command(service: dict) -> list[str]:
    """Return a compose entry command with this interpreter in the place of the image's `cellvigil`."""
    assert service["command"][0] == "cellvigil"
    return [sys.executable, "-m", "services.main", *service["command"][1:]]


def compose_environment(service: dict, **overrides: str) -> dict[str, str]:
    """Return the variables that compose would set, with `${NAME:-default}` at its default."""
    written = {key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)) for key, value in service["environment"].items()}
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("CELLVIGIL__")},
        **written,
        **overrides,
    }


@pytest.mark.parametrize("name", WORKERS)
def test_worker_runs_a_worker_command_on_shared_state(name: str):
    service = WORKERS[name]

    assert service["command"] == ["cellvigil", "worker", STAGE_OF.get(name, name)]
    assert service["restart"] == "unless-stopped"
    assert [volume.rpartition(":")[2] for volume in service["volumes"]] == ["/state", "ro"]
    assert service["depends_on"] == {"queue": {"condition": "service_healthy"}}


def test_every_stage_is_there():
    assert [name for name, service in WORKERS.items() if "profiles" not in service] == CHAIN


def test_the_page_is_published_on_this_machine_alone():
    published = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}

    assert published == {"page": ["127.0.0.1:${PAGE_PORT:-8765}:8765"]}
    assert WORKERS["page"]["profiles"] == ["page"]


@pytest.mark.parametrize("name", WORKERS)
def test_environment_is_understood_whole(name: str, monkeypatch: pytest.MonkeyPatch):
    for key, value in compose_environment(WORKERS[name]).items():
        monkeypatch.setenv(key, value)

    settings = load_settings()

    assert settings.server.url == "redis://queue:6379/0"
    assert (settings.state, settings.watch.folder) == (Path("/state"), Path("/watch"))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfile_copies_what_exists_and_runs_as_nobody_special(path: Path):
    instructions = dockerfile(path)
    copied = [source for words in instructions["COPY"] if words[0] != "--from=build" for source in words[:-1]]

    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert instructions["USER"] == [["cellvigil"]]
    assert {service["build"]["dockerfile"] for service in WORKERS.values()} == {f"docker/{p.name}" for p in DOCKERFILES}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_healthcheck_is_a_command_of_ours(path: Path):
    (words,) = dockerfile(path)["HEALTHCHECK"]
    command = yaml.safe_load(" ".join(words[words.index("CMD") + 1 :]))

    assert command[0] == "cellvigil"
    done = subprocess.run([sys.executable, "-m", "services.main", *command[1:]], capture_output=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr.decode()
    assert done.stdout.startswith(b"[")


def dockerfile(path: Path) -> dict[str, list[list[str]]]:
    """Return the words of every instruction of a Dockerfile by its name."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    instructions: dict[str, list[list[str]]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        words = rest.split() if name == "HEALTHCHECK" else shlex.split(rest)
        instructions.setdefault(name, []).append(words)
    return instructions


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[str]:
    """Start the queue service's own command with a real server, on a free port and in a temporary folder."""
    name, *options = COMPOSE["services"]["queue"]["command"]
    assert name == "valkey-server"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path / "queue"
    folder.mkdir()
    command = [str(server_program()), *options, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_for_port(port: int, deadline_s: float = 10.0) -> None:
    stop = time.monotonic() + deadline_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < stop, "the queue server did not start"
            time.sleep(0.05)
        else:
            return


def test_queue_command_keeps_what_it_was_given(queue: str):
    checks = list(running_checks(ask_queue(queue), "here"))

    assert [check.level for check in checks] == ["ok", "ok"]


@pytest.mark.slow
def test_entry_commands_carry_frames_from_folder_to_record(queue: str, tmp_path: Path):
    watch, state = tmp_path / "watch", tmp_path / "state"
    sources = [write_frame(watch, flask, minute) for flask in ("A1", "B2") for minute in (0, 15)]
    places = {
        "CELLVIGIL__SERVER__URL": queue,
        "CELLVIGIL__STATE": str(state),
        "CELLVIGIL__WATCH__FOLDER": str(watch),
        "CELLVIGIL__WATCH__SETTLE_S": "0.2",
        "CELLVIGIL__WATCH__PIXEL_SIZE_UM": "1.0",
    }

    for name in CHAIN:
        command = [*entry_command(WORKERS[name]), "--drain"]
        environment = compose_environment(WORKERS[name], **places)
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, f"{name}: {done.stdout[-2000:]}{done.stderr[-4000:]}"

    record = SqliteRecord(StateFolder(state).record)
    estimates = record.estimates()
    record.close()
    assert sorted(estimate.source for estimate in estimates) == sorted(sources)


def write_frame(watch: Path, flask: str, minute: int) -> str:
    """Write a noisy 256 x 256 frame in the default layout; return its path below the watched folder."""
    acquired = datetime(2026, 3, 10, 12, minute, tzinfo=UTC)
    source = f"{flask}/p1/{acquired:%Y%m%dT%H%M%SZ}.tif"
    rng = np.random.default_rng([minute, ord(flask[0])])
    path = watch / source
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, rng.integers(900, 1100, (256, 256), dtype=np.uint16))
    return source
