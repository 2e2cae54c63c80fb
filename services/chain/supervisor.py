"""The supervisor: keeps worker processes alive and stops them in order."""

import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

RESTART_FIRST_S = 0.5
RESTART_MOST_S = 30.0
STEADY_S = 60.0
"""A worker that ran this long has earned a quick restart again."""
STOP_S = 20.0
"""All workers together are given this long to finish what they hold; then they are killed, which loses nothing."""


class Log(Protocol):
    """What the supervisor needs of a logger."""

    def info(self, event: str, **values: object) -> None:
        """Say that something happened."""

    def warning(self, event: str, **values: object) -> None:
        """Say that something needs a look."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """How one worker process is started: a unique name such as `predictor-1`, its command and whole environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(slots=True)
class _Child:
    spec: WorkerSpec
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0
    backoff_s: float = RESTART_FIRST_S
    due: float = 0.0
    finished: bool = False
    exit_codes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SupervisorReport:
    """What became of the workers: restarts by name, and names that had to be killed at the stop."""

    restarts: dict[str, int]
    killed: tuple[str, ...]


class Supervisor:
    """Starts workers, restarts those that die, and stops them in the order given.

    Each worker gets a process group of its own, so that Ctrl-C reaches the supervisor alone and the order of the
    stop is the supervisor's. A worker that exits with 0 is finished and is not restarted.
    """

    def __init__(self, specs: Sequence[WorkerSpec], log: Log) -> None:
        self._children = [_Child(spec) for spec in specs]
        self._log = log

    def start(self) -> None:
        """Start every worker."""
        for child in self._children:
            self._spawn(child)

    def tend(self) -> None:
        """Look after the workers once: notice deaths, restart what is due. Call it a few times a second."""
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._bury(child, now)
            elif child.process is None and not child.finished and now >= child.due:
                self._spawn(child)

    def run(self, stop: threading.Event, *, period_s: float = 0.2) -> None:
        """Tend the workers until `stop` is set or all have finished."""
        while not stop.wait(period_s):
            self.tend()
            if self.all_finished():
                return

    def finished(self, name: str) -> bool:
        """Whether a worker ended by itself with exit code 0."""
        return any(child.finished for child in self._children if child.spec.name == name)

    def all_finished(self) -> bool:
        """Whether every worker ended by itself."""
        return all(child.finished for child in self._children)

    def process_ids(self) -> dict[str, int]:
        """Return the process id of every running worker by name."""
        return {c.spec.name: c.process.pid for c in self._children if c.process is not None}

    def stop(self) -> SupervisorReport:
        """Stop the workers one after the other, in order, within `STOP_S` in all."""
        deadline = time.monotonic() + STOP_S
        killed = [child.spec.name for child in self._children if not _end(child.process, deadline)]
        for name in killed:
            self._log.warning("worker_killed", worker=name, mend="its frames are delivered again at the next start")
        return SupervisorReport({c.spec.name: c.restarts for c in self._children}, tuple(killed))

    def _spawn(self, child: _Child) -> None:
        child.process = subprocess.Popen(
            list(child.spec.command),
            env=dict(child.spec.environment),
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        child.started = time.monotonic()
        self._log.info("worker_started", worker=child.spec.name, pid=child.process.pid)

    def _bury(self, child: _Child, now: float) -> None:
        assert child.process is not None
        code = child.process.returncode
        child.process = None
        child.exit_codes.append(code)
        if code == 0:
            child.finished = True
            self._log.info("worker_finished", worker=child.spec.name)
            return
        if now - child.started >= STEADY_S:
            child.backoff_s = RESTART_FIRST_S
        child.due = now + child.backoff_s
        child.restarts += 1
        self._log.warning("worker_died", worker=child.spec.name, exit_code=code, restart_in_s=child.backoff_s)
        child.backoff_s = min(child.backoff_s * 2.0, RESTART_MOST_S)


def _end(process: subprocess.Popen[bytes] | None, deadline: float) -> bool:
    """Ask a process to finish; kill it at the deadline. Return whether it finished by itself."""
    if process is None or process.poll() is not None:
        return True
    process.terminate()
    try:
        process.wait(timeout=max(0.5, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def worker_command(name: str, *arguments: str) -> list[str]:
    """Return the command that starts a worker with this interpreter."""
    return [sys.executable, "-m", "services.main", "worker", name, *arguments]
