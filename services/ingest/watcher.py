"""Watch events as hints: they make ingest quick; the scan makes it complete."""

import logging
import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from services.ingest.filesystem import sends_events
from services.ingest.scanner import is_candidate

HINTS_MOST = 20_000
SIDECAR = ".json"
_KINDS = ("created", "closed", "moved")


class Watcher(FileSystemEventHandler):
    """Collects paths that something happened to; folders too, whose files may have come before the watch on them.

    Parameters
    ----------
    root
        The watched folder.
    mode
        `events`, `polling`, or `auto` for events where the file system sends them.
    skip
        A folder whose events mean nothing: the program's own state.
    hints_most
        Number of paths kept; more set `overflowed`.
    """

    def __init__(
        self, root: Path, mode: Literal["auto", "events", "polling"], skip: Path, *, hints_most: int = HINTS_MOST
    ) -> None:
        self._root = str(root)
        self._skip = str(skip) + os.sep
        self._most = hints_most
        self._hints: dict[str, None] = {}
        self._lock = threading.Lock()
        self._overflowed = False
        self._kernel_losses = _KernelLosses(self._overflow)
        self._observer = Observer() if mode == "events" or (mode == "auto" and sends_events(root)) else None

    @property
    def polls(self) -> bool:
        """Whether there are no events, so that only scanning finds files."""
        return self._observer is None

    def start(self) -> OSError | None:
        """Start to watch; return why that is impossible when it is, and poll from then on."""
        if self._observer is None:
            return None
        logging.getLogger("watchdog").addHandler(self._kernel_losses)
        # watchdog says so of folders that come inside one another at once; the watch holds all the same
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        try:
            self._observer.schedule(self, self._root, recursive=True)
            self._observer.start()
        except OSError as error:  # the machine's limits of watches and watchers (fs.inotify.max_user_*)
            logging.getLogger("watchdog").removeHandler(self._kernel_losses)
            self._observer = None
            return error
        return None

    def stop(self) -> None:
        """Stop watching."""
        logging.getLogger("watchdog").removeHandler(self._kernel_losses)
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def died(self) -> bool:
        """Whether watching ended by itself; from then on only scanning finds files."""
        if self._observer is None or (self._observer.is_alive() and all(e.is_alive() for e in self._observer.emitters)):
            return False
        self.stop()
        self._observer = None
        return True

    def take(self) -> tuple[list[str], bool]:
        """Return the paths since the last call, each once, in order, and whether some were lost."""
        with self._lock:
            taken, self._hints = list(self._hints), {}
            lost, self._overflowed = self._overflowed, False
        return taken, lost

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note the path of an event that can mean a new or finished file."""
        if event.event_type in _KINDS:
            path = os.fsdecode(event.dest_path or event.src_path)
            if event.is_directory or path.endswith(SIDECAR) or is_candidate(os.path.basename(path)):  # noqa: PTH119 (per event)
                self._note(path)

    def _note(self, path: str) -> None:
        if path.startswith(self._skip):
            return
        with self._lock:
            if len(self._hints) < self._most:
                self._hints[path] = None
            else:
                self._overflowed = True

    def _overflow(self) -> None:
        with self._lock:
            self._overflowed = True


class _KernelLosses(logging.Handler):
    """Hears of events that the kernel dropped: watchdog tells its log and nobody else."""

    def __init__(self, lost: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._lost = lost

    def emit(self, record: logging.LogRecord) -> None:
        """Take a warning of watchdog's."""
        if "overflow" in record.getMessage():
            self._lost()
