"""Quarantined files that may be looked at again: gone, or given the pixel size that they lacked."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from monitor.frames.pixel_size import FOLDER_SIDECAR
from services.store.ledger_row import LedgerRow

CURABLE = frozenset(("no_pixel_size", "bad_pixel_size"))
"""Reasons that a file beside the frame can mend."""


class Quarantine:
    """Knows the quarantined files and their reasons, by source.

    Parameters
    ----------
    root
        The watched folder.
    reasons
        What the ledger knows from before.
    """

    def __init__(self, root: Path, reasons: Mapping[str, str]) -> None:
        self._root = root
        self._reasons = dict(reasons)
        self._tried: dict[str, tuple[tuple[str, int, int], ...]] = {}

    def __len__(self) -> int:
        return len(self._reasons)

    def note(self, row: LedgerRow) -> bool:
        """Take a decided file into account; True when it is quarantined and was not so for this reason before."""
        if row.state != "quarantined":
            self._reasons.pop(row.source, None)
            self._tried.pop(row.source, None)
            return False
        before = self._reasons.get(row.source)
        self._reasons[row.source] = row.reason
        return before != row.reason

    def gone(self) -> list[str]:
        """Return the sources whose files are gone from a folder that is still there, and forget them."""
        gone = [source for source in self._reasons if self._is_gone(source)]
        for source in gone:
            del self._reasons[source]
            self._tried.pop(source, None)
        return gone

    def curable(self, sidecar: Path | None = None) -> Iterator[Path]:
        """Yield files that a sidecar may have mended: those that this one concerns, or all whose sidecars changed."""
        for source, reason in self._reasons.items():
            path = self._root / source
            if reason in CURABLE and (self._is_untried(source) if sidecar is None else _concerns(sidecar, path)):
                yield path

    def _is_gone(self, source: str) -> bool:
        path = self._root / source
        return not os.path.lexists(path) and "\\" not in source and self._root.is_dir()

    def _is_untried(self, source: str) -> bool:
        """Whether the sidecars of a file are others than when this was asked before; none at first."""
        path = self._root / source
        folders = [folder for folder in path.parents if folder.is_relative_to(self._root)]
        found = []
        for sidecar in (path.with_suffix(".json"), *(folder / FOLDER_SIDECAR for folder in folders)):
            try:
                status = sidecar.stat()
            except OSError:
                continue
            found.append((str(sidecar), status.st_size, status.st_mtime_ns))
        before, self._tried[source] = self._tried.get(source, ()), tuple(found)
        return self._tried[source] != before


def _concerns(sidecar: Path, path: Path) -> bool:
    return sidecar == path.with_suffix(".json") or (
        sidecar.name == FOLDER_SIDECAR and path.is_relative_to(sidecar.parent)
    )
