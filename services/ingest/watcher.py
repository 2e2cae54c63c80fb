"""Watch events as hints: they make ingest quick; the scan makes it complete."""

import os
from collections import deque
from pathlib import Path
from typing import Literal

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from services.ingest.filesystem import sends_events

HINTS_MOST = 20_000


class Watcher(FileSystemEventHandler):
    """Collects paths that something happened to; folders too, whose files may have come before the watch on them."""

    def __init__(self, root: Path, mode: Literal["auto", "events", "polling"]) -> None:
        self._hints: deque[str] = deque(maxlen=HINTS_MOST)
        self.overflowed = False
        self._observer = Observer() if mode == "events" or (mode == "auto" and sends_events(root)) else None
        if self._observer is not None:
            self._observer.schedule(self, str(root), recursive=True)

    @property
    def polls(self) -> bool:
        """Whether there are no events, so that only scanning finds files."""
        return self._observer is None

    def start(self) -> None:
        """Start to watch."""
        if self._observer is not None:
            self._observer.start()

    def stop(self) -> None:
        """Stop watching."""
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def take(self) -> list[str]:
        """Return the paths since the last call, each once, in order."""
        taken: dict[str, None] = {}
        while self._hints:
            taken[self._hints.popleft()] = None
        return list(taken)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note the path of an event that can mean a new or changed file."""
        if event.event_type in ("created", "closed", "moved", "modified"):
            if event.event_type == "modified" and event.is_directory:
                return
            if len(self._hints) == HINTS_MOST:
                self.overflowed = True
            self._hints.append(os.fsdecode(event.dest_path or event.src_path))
