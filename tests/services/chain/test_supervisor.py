"""Workers that die are started again, and all are stopped in their order."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.chain import supervisor as room
from services.chain.supervisor import Supervisor, WorkerSpec, worker_command

ROOT = Path(__file__).resolve().parents[3]
FOREVER = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


@dataclass
class Notes:
    """A logger that keeps what it is told."""

    told: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def info(self, event: str, **values: object) -> None:
        self.told.append((event, values))

    def warning(self, event: str, **values: object) -> None:
        self.told.append((event, values))

    def of(self, event: str) -> list[dict[str, object]]:
        return [values for name, values in self.told if name == event]


@dataclass
class Clock:
    """In the place of the machine's monotonic clock."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Crew:
    supervisor: Supervisor
    notes: Notes

    @property
    def pids(self) -> dict[str, int]:
        return self.supervisor.process_ids()

    def tend_until(self, condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
        wait_for(condition, timeout_s, self.supervisor.tend)


Hire = Callable[..., Crew]


def wait_for(
    condition: Callable[[], bool], timeout_s: float = 15.0, meanwhile: Callable[[], None] = lambda: None
) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        meanwhile()
        time.sleep(0.01)


@pytest.fixture
def hire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hire]:
    """Start programs as workers; kill what a test leaves."""
    crews: list[Crew] = []

    def start(environment: dict[str, str] | None = None, **programs: str) -> Crew:
        # -S -E: a worker of these tests needs nothing but the language
        specs = [
            WorkerSpec(name, [sys.executable, "-S", "-E", "-c", program], environment or {})
            for name, program in programs.items()
        ]
        notes = Notes()
        crew = Crew(Supervisor(specs, notes), notes)
        crews.append(crew)
        crew.supervisor.start()
        return crew

    yield start
    for crew in crews:
        for child in crew.supervisor._children:
            if child.process is not None and child.process.poll() is None:
                child.process.kill()
                child.process.wait()


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def ignores_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (ignored,) = [line.split()[1] for line in status if line.startswith("SigIgn:")]
    return bool(int(ignored, 16) & (1 << (signal.SIGTERM - 1)))


def test_every_worker_runs_in_its_environment_and_process_group(hire: Hire, tmp_path: Path) -> None:
    said = tmp_path / "said"
    program = f"import os, time; open({str(said)!r}, 'w').write(os.environ['WHO']); time.sleep(60)"
    crew = hire({"WHO": "a worker"}, one=program, two=FOREVER)
    assert list(crew.pids) == ["one", "two"]
    # Ctrl-C in the terminal reaches the supervisor's group, not theirs
    assert [os.getpgid(pid) for pid in crew.pids.values()] == list(crew.pids.values())
    wait_for(lambda: said.exists() and said.read_text() == "a worker")
    crew.supervisor.stop()


def test_a_killed_worker_is_started_again_after_a_moment(hire: Hire) -> None:
    crew = hire(one=FOREVER, two=FOREVER)
    first = crew.pids
    os.kill(first["one"], signal.SIGKILL)
    killed = time.monotonic()
    crew.tend_until(lambda: "one" not in crew.pids)
    assert crew.pids == {"two": first["two"]}
    crew.tend_until(lambda: "one" in crew.pids)
    assert time.monotonic() - killed >= room.RESTART_FIRST_S
    assert crew.pids["one"] != first["one"]
    assert crew.pids["two"] == first["two"]
    (death,) = crew.notes.of("worker_died")
    assert (death["worker"], death["exit_code"]) == ("one", -signal.SIGKILL)
    assert crew.supervisor.stop().restarts == {"one": 1, "two": 0}


def deaths(crew: Crew, clock: Clock, count: int, *, lived_s: float = 0.0) -> list[object]:
    """Let the worker die `count` times, each time as old as told; return the pauses before its restarts."""
    for _ in range(count):
        child = crew.supervisor._children[0]
        assert child.process is not None
        child.process.wait()
        clock.now += lived_s
        crew.supervisor.tend()
        assert crew.pids == {}
        clock.now = child.due - 0.001
        crew.supervisor.tend()
        assert crew.pids == {}, "started before it was due"
        clock.now = child.due
        crew.supervisor.tend()
        assert list(crew.pids) == ["one"]
    return [death["restart_in_s"] for death in crew.notes.of("worker_died")][-count:]


def test_pauses_double_up_to_half_a_minute_and_it_is_never_given_up(
    hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(room, "time", clock)
    crew = hire(one="raise SystemExit(3)")
    assert deaths(crew, clock, 9) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert {death["exit_code"] for death in crew.notes.of("worker_died")} == {3}
    assert not crew.supervisor.all_finished()


def test_a_worker_that_ran_steadily_has_earned_a_quick_restart(hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(room, "time", clock)
    crew = hire(one="raise SystemExit(3)")
    assert deaths(crew, clock, 4)[-1] == 4.0
    assert deaths(crew, clock, 1, lived_s=room.STEADY_S - 1.0) == [8.0]
    assert deaths(crew, clock, 2, lived_s=room.STEADY_S) == [0.5, 0.5]


def test_a_worker_that_is_done_stays_done(hire: Hire) -> None:
    crew = hire(one="pass", two=FOREVER)
    crew.tend_until(lambda: crew.supervisor.finished("one"))
    for _ in range(5):
        crew.supervisor.tend()
    assert list(crew.pids) == ["two"]
    assert not crew.supervisor.finished("two")
    assert not crew.supervisor.all_finished()
    assert crew.notes.of("worker_died") == []
    assert crew.supervisor.stop().restarts == {"one": 0, "two": 0}


def test_it_returns_when_all_are_done(hire: Hire) -> None:
    crew = hire(one="pass", two="pass")
    crew.supervisor.run(threading.Event(), period_s=0.01)
    assert crew.supervisor.all_finished()


def test_it_returns_when_it_is_told_to_stop(hire: Hire) -> None:
    crew = hire(one=FOREVER)
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    crew.supervisor.run(stop, period_s=0.01)
    assert list(crew.pids) == ["one"]
    assert crew.supervisor.stop().killed == ()


def test_workers_are_stopped_one_after_the_other_in_order(hire: Hire, tmp_path: Path) -> None:
    diary = tmp_path / "diary"

    def program(name: str, takes_s: float) -> str:
        return textwrap.dedent(f"""
            import os, signal, time
            def say(text):
                with open({str(diary)!r}, "a") as stream:
                    stream.write(text + "\\n")
            def answer(*_):
                say("{name} stops")
                time.sleep({takes_s})
                say("{name} ends")
                os._exit(0)
            signal.signal(signal.SIGTERM, answer)
            say("{name} runs")
            time.sleep(60)
        """)

    crew = hire(first=program("first", 0.3), second=program("second", 0.0))
    wait_for(lambda: diary.exists() and len(diary.read_text().splitlines()) == 2)
    report = crew.supervisor.stop()
    assert diary.read_text().splitlines()[2:] == ["first stops", "first ends", "second stops", "second ends"]
    assert report.killed == ()


def test_a_worker_that_does_not_stop_is_killed_and_named(hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "STOP_S", 0.5)
    crew = hire(deaf=STUBBORN, good=FOREVER)
    pids = crew.pids
    wait_for(lambda: ignores_sigterm(pids["deaf"]))
    started = time.monotonic()
    report = crew.supervisor.stop()
    assert report.killed == ("deaf",)
    assert time.monotonic() - started < 5.0
    assert [note["worker"] for note in crew.notes.of("worker_killed")] == ["deaf"]
    assert not any(alive(pid) for pid in pids.values())


def test_stopping_what_is_dead_already_is_no_kill(hire: Hire) -> None:
    crew = hire(dead="raise SystemExit(1)", gone=FOREVER)
    os.kill(crew.pids["gone"], signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in crew.pids.values()))
    assert crew.supervisor.stop().killed == ()


SUPERVISING = """
import sys, threading
from services.chain.supervisor import Supervisor, WorkerSpec
from services.transport.signals import install_signals

class Log:
    def info(self, event, **values):
        if event == "worker_started":
            print(values["pid"], flush=True)
    warning = info

stop = threading.Event()
install_signals(stop)
program = [sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)"]
supervisor = Supervisor([WorkerSpec(name, program, {}) for name in ("one", "two", "three")], Log())
supervisor.start()
supervisor.run(stop)
print("killed", *supervisor.stop().killed, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_stops_all_of_them(number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", SUPERVISING], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout:
        pids = [int(process.stdout.readline()) for _ in range(3)]
        assert all(alive(pid) for pid in pids)
        process.send_signal(number)
        assert process.stdout.readline().split() == ["killed"]
        assert process.wait(15.0) == 0
    assert not any(alive(pid) for pid in pids)


FOLLOWING = """
import subprocess, sys, time
follower = '''
import time
from services.transport.signals import follow_parent
follow_parent(0.05)
print(1, flush=True)
time.sleep(60)
'''
child = subprocess.Popen([sys.executable, "-c", follower], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_worker_ends_when_its_supervisor_was_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", FOLLOWING], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        worker = int(parent.stdout.readline())
        time.sleep(0.2)
        assert alive(worker), "it ended though its parent lives"
        parent.kill()
        wait_for(lambda: not alive(worker))


def test_the_command_of_a_worker_is_this_interpreters() -> None:
    command = worker_command("predictor", "--replica", "1")
    assert command == [sys.executable, "-m", "services.main", "worker", "predictor", "--replica", "1"]
