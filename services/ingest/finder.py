"""Finding files: events as hints, one scan at the start and one now and then, all into the candidates."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from services.ingest.admission import source_of
from services.ingest.candidates import Candidates
from services.ingest.quarantine import Quarantine
from services.ingest.scanner import is_candidate, is_folder, scan
from services.ingest.watcher import SIDECAR, Watcher
from services.settings import WatchSettings
from services.store.ledger_row import LedgerRow, bounded

PART = 64
"""Files that are looked up together."""
SLICE_S = 0.2
"""How long one round may walk the folder."""
FOLLOW_UP_S = 1.0
"""A new folder is scanned again after this long: what came into it before its watch stood gave no event."""


class Finder:
    """Hands files that are not known yet to the candidates.

    Parameters
    ----------
    root, skip
        The watched folder, and the state folder, which is passed over.
    known
        Gives size and mtime of those of some files that were decided, by source.
    """

    def __init__(
        self,
        root: Path,
        watch: WatchSettings,
        skip: Path,
        candidates: Candidates,
        known: Callable[[Sequence[str]], Mapping[str, tuple[int, int]]],
        log: Any,  # noqa: ANN401 (structlog's loggers have no common type)
    ) -> None:
        self._root = root
        self._skip = skip
        self._watch = watch
        self._candidates = candidates
        self._known = known
        self._decided: dict[str, tuple[int, int]] = {}
        self._undecided: set[str] = set()
        self._log = log
        self._watcher = Watcher(root, watch.observer, skip)
        self._walk: Iterator[os.DirEntry[str]] | None = None
        self._follow_ups: dict[Path, float] = {}
        self._unreadable: set[str] = set()
        self._next_scan = self._scan_began = self._scan_ended = 0.0
        self.scans_done = 0

    def start(self) -> None:
        """Start to watch; fall back to polling where that is impossible, with a line in the log."""
        error = self._watcher.start()
        if error is not None:
            self._log.warning("no_events", why=str(error), mend="raise fs.inotify.max_user_watches and _instances")

    def stop(self) -> None:
        """Stop watching."""
        self._watcher.stop()

    @property
    def polls(self) -> bool:
        """Whether only scanning finds files."""
        return self._watcher.polls

    @property
    def scanning(self) -> bool:
        """Whether a scan is under way."""
        return self._walk is not None

    @property
    def busy(self) -> bool:
        """Whether the folder was not seen whole yet, or parts of it are to be looked at again."""
        return self.scanning or self.scans_done == 0 or bool(self._follow_ups)

    def know(self, row: LedgerRow) -> None:
        """Note that a file was decided, also where the ledger does not say so: it is in quarantine."""
        self._undecided.discard(row.source)
        if row.state == "quarantined":
            self._decided[row.source] = (row.size, bounded(row.mtime_ns))
        else:
            self._decided.pop(row.source, None)

    def forget(self, sources: Iterable[str]) -> None:
        """Note that files are undecided again."""
        for source in sources:
            self._decided.pop(source, None)
            self._undecided.add(source)

    def scan_soon(self) -> None:
        """Have the next scan begin at once."""
        self._next_scan = 0.0

    def scanned_since(self, moment: float) -> bool:
        """Whether a scan began after a monotonic time and is through."""
        return self._walk is None and self._scan_began > moment

    def take_hints(self, quarantine: Quarantine) -> None:
        """Look at everything that something happened to."""
        paths, lost = self._watcher.take()
        if lost or self._watcher.died():
            self._log.warning("events_lost", mend="none needed: the folder is scanned instead")
            self.scan_soon()
        now = time.monotonic()
        for name in paths:
            path = Path(name)
            if is_folder(path):
                self._walk_now(path)
                self._follow_ups[path] = now + FOLLOW_UP_S
            elif path.suffix == SIDECAR:
                self.consider_again(quarantine.curable(path))
            else:
                self._consider_path(path)
        for folder in [folder for folder, due in self._follow_ups.items() if due <= now]:
            del self._follow_ups[folder]
            self._walk_now(folder)

    def consider_again(self, paths: Iterable[Path]) -> None:
        """Judge files anew though they did not change."""
        for path in list(paths):
            self.forget([source_of(path, self._root)])
            self._consider_path(path)

    def step(self) -> bool:
        """Go on with a scan, or begin one when it is time; True when one came to its end."""
        now = time.monotonic()
        if self._walk is None:
            if now < self._next_scan:
                return False
            self._scan_began = now
            self._walk = scan(self._root, self._root, self._skip, self._cannot_read)
        while part := list(islice(self._walk, PART)):
            self._consider_entries(part)
            if time.monotonic() - now > SLICE_S:
                return False
        self._walk = None
        self.scans_done += 1
        self._scan_ended = time.monotonic()
        self._next_scan = self._scan_ended + self._rescan_s()
        return True

    def _rescan_s(self) -> float:
        if not self._watcher.polls:
            return self._watch.rescan_s
        # a folder that takes long to walk is walked less often
        return max(min(self._watch.poll_s, self._watch.rescan_s), 4.0 * (self._scan_ended - self._scan_began))

    def _walk_now(self, folder: Path) -> None:
        if self._is_ours(folder):
            walk = scan(self._root, folder, self._skip, self._cannot_read)
            while part := list(islice(walk, PART)):
                self._consider_entries(part)

    def _consider_entries(self, entries: Iterable[os.DirEntry[str]]) -> None:
        found = []
        for entry in entries:
            with suppress(OSError):  # gone again
                found.append((Path(entry.path), entry.stat(follow_symlinks=False)))
        self._consider(found)

    def _consider_path(self, path: Path) -> None:
        if not self._is_ours(path) or not is_candidate(path.name):
            return
        try:
            status = path.lstat()
        except OSError:
            return  # gone again; a rename announces the new name
        self._consider([(path, status)])

    def _consider(self, found: Sequence[tuple[Path, os.stat_result]]) -> None:
        """Hand on what is not decided, or is another file by now."""
        sources = [source_of(path, self._root) for path, _ in found]
        known = {**self._known(sources), **self._decided}
        for source, (path, status) in zip(sources, found, strict=True):
            decided = None if source in self._undecided else known.get(source)
            if decided != (status.st_size, bounded(status.st_mtime_ns)):
                self._candidates.consider(path, status)

    def _is_ours(self, path: Path) -> bool:
        """Whether a path lies below the watched folder, neither hidden nor in the state folder."""
        if not path.is_relative_to(self._root) or path.is_relative_to(self._skip):
            return False
        return not any(part.startswith(".") for part in path.relative_to(self._root).parts)

    def _cannot_read(self, folder: str, error: OSError) -> None:
        if folder not in self._unreadable:
            self._unreadable.add(folder)
            self._log.warning("folder_unreadable", folder=folder, why=error.strerror)
