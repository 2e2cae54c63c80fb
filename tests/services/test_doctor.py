import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from services.doctor import Check, Level, diagnose, exit_code, render
from services.doctor.engines import Torch, check_cpu, compile_check, missing_from, tensorrt_check, torch_check
from services.doctor.folders import (
    check_clock,
    check_disk,
    check_events,
    check_inotify,
    check_secrets,
    check_state_file_system,
    check_state_folder,
    check_watch_folder,
)
from services.doctor.installation import check_numba_cache, check_openmp, owner_checks
from services.doctor.models import check_models
from services.doctor.mounts import Mount, mount_of
from services.doctor.probe import Answer, ask, ask_python
from services.doctor.queue_server import (
    ask_queue,
    check_queue,
    persistence_check,
    running_checks,
    server_check,
)
from services.settings import NotifierSettings, ServerSettings, Settings, WatchSettings, WebhookSettings
from services.transport.server import ensure_server, server_program, stop_server

CPU = Torch("2.13.0+cpu", None, 2, "AVX512", ())
CUDA = Torch("2.11.0+cu130", "13.0", 16, "AVX512", ("NVIDIA H100",))
LIBNVINFER = "Traceback (most recent call last):\nOSError: libnvinfer.so.10: cannot open shared object file"
GOOD_SERVER = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "last_write": "ok"}


@pytest.fixture(autouse=True)
def _no_server_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "frames"
    folder.mkdir()
    return Settings(state=tmp_path / "state", watch=WatchSettings(folder=folder))


def on_network_share(monkeypatch: pytest.MonkeyPatch) -> None:
    share = SimpleNamespace(mountpoint="/", fstype="nfs4")
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [share])


class TestReport:
    def test_this_machine_can_run_cellvigil(self, settings: Settings):
        checks = diagnose(settings, quick=True)

        assert exit_code(checks) == 0, render(checks)

    def test_thorough_examination_adds_the_engines_and_models(self, settings: Settings):
        quick, thorough = ({check.name for check in diagnose(settings, quick=quick)} for quick in (True, False))

        assert thorough - quick >= {"torch", "torch-tensorrt", "openvino", "lightgbm", "segmenter weights"}

    def test_examination_changes_nothing(self, settings: Settings):
        diagnose(settings, quick=True)

        assert not settings.state.exists()
        assert list(settings.watch.folder.iterdir()) == []

    def test_names_are_unique(self, settings: Settings):
        names = [check.name for check in diagnose(settings, quick=True)]

        assert len(names) == len(set(names))

    def test_only_a_problem_fails(self):
        warned = Check("disk", Level.WARNING, "little", "free some")
        failed = Check("clock", Level.PROBLEM, "1970", "set it")

        assert exit_code([warned]) == 0
        assert exit_code([warned, failed]) == 1
        assert render([warned, failed]).endswith("1 problem, 1 warning")

    def test_json_is_a_list_of_checks(self):
        (line,) = json.loads(render([Check("disk", Level.OK, "9 GiB")], as_json=True))

        assert line == {"name": "disk", "level": "ok", "what": "9 GiB", "mend": ""}

    def test_control_characters_of_a_folder_do_not_reach_the_terminal(self):
        report = render([Check("disk", Level.WARNING, "state\x1b[2J\n", "give\x07 another")])

        assert "\x1b" not in report
        assert "\x07" not in report
        assert len(report.splitlines()) == 3


class TestProbe:
    def test_a_crash_is_an_answer(self):
        answer = ask_python("import os, sys; print('half', flush=True); os.abort()", 10.0)

        assert not answer.succeeded
        assert "half" in answer.output

    def test_a_hang_is_an_answer(self):
        started = time.monotonic()

        assert ask_python("import time; time.sleep(60)", 0.5) == Answer(False, "no answer within 0 s")
        assert time.monotonic() - started < 10

    def test_a_missing_command_is_an_answer(self):
        assert not ask(["/no/such/command"], 1.0).succeeded


class TestInstallation:
    def test_a_stranger_that_owns_our_package_is_a_problem(self):
        owners = {"monitor": ["cellvigil"], "services": ["cellvigil", "services"]}

        ours, shared = owner_checks(owners, editable=False)

        assert ours.level is Level.OK
        assert shared.level is Level.PROBLEM
        assert "pip uninstall services" in shared.mend

    def test_a_stranger_beside_an_editable_install_is_a_problem(self):
        _, shared = owner_checks({"services": ["services"]}, editable=True)

        assert shared.level is Level.PROBLEM

    def test_a_folder_on_the_path_is_a_warning(self):
        assert [check.level for check in owner_checks({}, editable=False)] == [Level.WARNING, Level.WARNING]

    def test_missing_openmp_names_the_package(self, monkeypatch: pytest.MonkeyPatch):
        failure = Answer(False, "OSError: libgomp.so.1: cannot open shared object file: No such file or directory")
        monkeypatch.setattr("services.doctor.installation.ask_python", lambda code, timeout_s: failure)

        assert check_openmp().mend == "apt-get install libgomp1"

    def test_numba_without_a_cache_folder_is_a_problem(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/nothing/here")
        monkeypatch.setattr(os, "access", lambda path, mode: False)

        check = check_numba_cache()

        assert check.level is Level.PROBLEM
        assert "NUMBA_CACHE_DIR" in check.mend


class TestEngines:
    def test_cpu_flags_are_named(self, tmp_path: Path):
        cpuinfo = tmp_path / "cpuinfo"
        cpuinfo.write_text("processor : 0\nflags : fpu avx2 avx512f avx512_bf16\n\nprocessor : 1\nflags : fpu\n")

        assert check_cpu(cpuinfo).what.endswith("cores, avx2 avx512f avx512_bf16")

    def test_cpu_build_beside_a_gpu_is_a_warning(self):
        assert torch_check(CPU, has_gpu=False).level is Level.OK
        assert torch_check(CPU, has_gpu=True).level is Level.WARNING
        assert "NVIDIA H100" in torch_check(CUDA, has_gpu=True).what

    def test_cuda_build_that_finds_no_gpu_names_the_driver(self):
        blind = Torch("2.11.0+cu130", "13.0", 16, "AVX512", ())

        assert "driver" in torch_check(blind, has_gpu=True).mend

    def test_missing_compiler_matters_on_a_gpu_only(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("PATH", "/nowhere")
        monkeypatch.delenv("CXX", raising=False)

        assert compile_check(has_gpu=False).level is Level.OK
        assert compile_check(has_gpu=True).mend == "apt-get install g++ python3-dev"

    @pytest.mark.parametrize(
        ("answer", "torch", "has_gpu", "level", "words"),
        [
            (None, CPU, False, Level.OK, "not installed"),
            (None, CUDA, True, Level.WARNING, "TensorRT 10.15"),
            (Answer(True, "torch-tensorrt 2.11.0 with TensorRT 10.15.1"), CUDA, True, Level.OK, "10.15.1"),
            (Answer(False, LIBNVINFER), CUDA, True, Level.WARNING, "libnvinfer.so.10 is missing"),
            (Answer(False, "no answer within 90 s"), CUDA, True, Level.WARNING, "no answer within 90 s"),
            (Answer(False, LIBNVINFER), CPU, False, Level.WARNING, "pip uninstall torch-tensorrt"),
        ],
    )
    def test_torch_tensorrt(self, answer: Answer | None, torch: Torch, has_gpu: bool, level: Level, words: str):
        check = tensorrt_check(answer, torch, has_gpu=has_gpu)

        assert check.level is level
        assert words in check.what + check.mend

    def test_several_missing_libraries_are_all_named(self):
        output = "libnvinfer.so.10: cannot open\nlibnvinfer_plugin.so.10: cannot open\nlibnvinfer.so.10: cannot open"

        assert missing_from(output) == "libnvinfer.so.10, libnvinfer_plugin.so.10 are missing"

    def test_a_torch_tensorrt_that_raises_and_prints_is_a_warning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        (tmp_path / "tensorrt.py").write_text("__version__ = '10'")
        (tmp_path / "torch_tensorrt.py").write_text(
            "print('noise')\nraise Exception('Could not find libnvinfer.so.11')"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.syspath_prepend(str(tmp_path))
        from services.doctor.engines import _ask_tensorrt

        check = tensorrt_check(_ask_tensorrt(), CUDA, has_gpu=True)

        assert check.level is Level.WARNING
        assert "libnvinfer.so.11 is missing" in check.what


class TestModels:
    def test_missing_weights_are_a_problem_with_their_path(self, settings: Settings, tmp_path: Path):
        path = tmp_path / "gone.json"
        chosen = settings.model_copy(
            update={"segmenter": settings.segmenter.model_copy(update={"weights": path})},
        )

        check = next(check for check in check_models(chosen) if check.name == "segmenter weights")

        assert check.level is Level.PROBLEM
        assert str(path) in check.what
        assert "segmenter.weights" in check.mend


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


class TestQueue:
    def test_running_server_that_throws_entries_away_is_a_problem(self, careless_server: str, tmp_path: Path):
        server, persistence = check_queue(careless_server, tmp_path)

        assert server.level is Level.OK
        assert "s3cret" not in server.what
        assert persistence.level is Level.PROBLEM
        assert "noeviction" in persistence.mend

    def test_address_that_does_not_answer_is_a_problem(self, tmp_path: Path):
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
    def test_persistence(self, changed: dict[str, str], level: Level):
        check = persistence_check(GOOD_SERVER | changed)

        assert check.level is level
        assert bool(check.mend) == (level is not Level.OK)

    @pytest.mark.parametrize(("version", "role"), [("6.2.14", "master"), ("7.0.15", "slave")])
    def test_old_server_and_replica_are_problems(self, version: str, role: str):
        told = GOOD_SERVER | {"name": "redis", "version": version, "role": role}

        server, _ = running_checks(Answer(True, json.dumps(told)), "here")

        assert server.level is Level.PROBLEM

    def test_server_that_would_be_started_is_named_with_its_version(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        server = fake_server(tmp_path / "valkey-server", "Valkey server v=8.1.0")
        monkeypatch.setenv("PATH", str(tmp_path))

        (check,) = check_queue(None, tmp_path / "state")

        assert check.what == f"{server} 8.1.0 would be started"

    def test_old_server_on_path_is_passed_over(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        fake_server(tmp_path / "redis-server", "Redis server v=6.0.16")
        monkeypatch.setenv("PATH", str(tmp_path))

        assert "redis-server" not in server_check().what

    def test_server_of_the_state_folder_is_found_and_keeps_everything(self, tmp_path: Path):
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


class TestFolders:
    def test_state_that_is_a_file(self, tmp_path: Path):
        state = tmp_path / "state"
        state.touch()

        assert check_state_folder(state).level is Level.PROBLEM

    def test_state_that_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        def refuse(**_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("services.doctor.folders.tempfile.NamedTemporaryFile", refuse)

        assert "Permission denied" in check_state_folder(tmp_path).what

    def test_state_that_everybody_can_write(self, tmp_path: Path):
        tmp_path.chmod(0o777)

        check = check_state_folder(tmp_path)

        assert check.mend == f"chmod o-w {tmp_path}"
        tmp_path.chmod(stat.S_IRWXU)
        assert check_state_folder(tmp_path).level is Level.OK

    def test_network_share_holds_frames_but_no_databases(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        on_network_share(monkeypatch)

        assert mount_of(tmp_path) == Mount(Path("/"), "nfs4")
        assert check_state_file_system(tmp_path).level is Level.WARNING
        assert check_events(WatchSettings(folder=tmp_path)).level is Level.OK
        assert "every 5 s" in check_events(WatchSettings(folder=tmp_path)).what
        assert check_events(WatchSettings(folder=tmp_path, observer="events")).level is Level.PROBLEM

    @pytest.mark.parametrize(("free", "level"), [(1 << 20, "problem"), (5 << 30, "warning"), (50 << 30, "ok")])
    def test_disk(self, free: int, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("services.doctor.folders.shutil.disk_usage", lambda path: SimpleNamespace(free=free))

        assert check_disk(tmp_path / "not" / "yet").level == level

    def test_watch_folder_that_is_not_there(self, tmp_path: Path):
        check = check_watch_folder(WatchSettings(folder=tmp_path / "typo"))

        assert check.level is Level.WARNING
        assert "--watch" in check.mend

    def test_more_folders_than_the_kernel_will_watch(self, tmp_path: Path):
        limits = tmp_path / "inotify"
        limits.mkdir()
        (limits / "max_user_watches").write_text("8\n")
        (limits / "max_queued_events").write_text("16384\n")
        for index in range(6):
            (tmp_path / "frames" / f"flask{index}").mkdir(parents=True)

        check = check_inotify(WatchSettings(folder=tmp_path / "frames"), limits)

        assert check.level is Level.WARNING
        assert "fs.inotify.max_user_watches" in check.mend

    def test_clock_that_was_never_set(self, tmp_path: Path):
        assert check_clock(WatchSettings(folder=tmp_path), datetime(1970, 1, 1, tzinfo=UTC)).level is Level.PROBLEM

    def test_frames_from_the_future(self, tmp_path: Path):
        frame = tmp_path / "A1" / "frame.tif"
        frame.parent.mkdir()
        frame.touch()
        ahead = datetime.now(UTC) + timedelta(hours=1)
        os.utime(frame, (ahead.timestamp(), ahead.timestamp()))

        check = check_clock(WatchSettings(folder=tmp_path))

        assert check.level is Level.WARNING
        assert "ahead" in check.what

    def test_secret_that_others_can_read(self, tmp_path: Path):
        secret = tmp_path / "secret"
        webhook = WebhookSettings(url="https://example.org/alarms", secret_file=secret)
        notifier = NotifierSettings(webhooks=(webhook,))

        assert [check.level for check in check_secrets(notifier)] == [Level.PROBLEM]
        secret.write_text("key")
        secret.chmod(0o644)
        assert [check.mend for check in check_secrets(notifier)] == [f"chmod 600 {secret}"]
        secret.chmod(0o600)
        assert [check.level for check in check_secrets(notifier)] == [Level.OK]
