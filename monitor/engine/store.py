"""Built engines on disk, each beside a manifest that says what it was built from and for; others are refused.

An engine file holds machine code or tactics for one processor, one driver and one set of weights. Its folder is named
by the digest of all of these, so a changed machine simply builds anew; a folder that was copied from elsewhere, or
changed, is refused and named.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from monitor.errors import EngineFailure
from monitor.messages import EngineParity
from monitor.whole_file import write_whole

MANIFEST = "manifest.json"
BUILDING = ".building-"
ABANDONED_S = 86400.0
"""A build takes minutes; one that began so long ago was killed."""
PARITY = "parity"


class BuiltFor(BaseModel):
    """What a built engine depends on.

    engine: its name; weights_sha256; machine: from `hardware.fingerprint`; versions: of the libraries that built it
    and that run it; options: everything else, such as frame size, batch and precision.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str
    weights_sha256: str
    machine: dict[str, str]
    versions: dict[str, str]
    options: dict[str, str] = {}

    @property
    def digest(self) -> str:
        """sha256 over all of it; the same however the fields are ordered."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


class Manifest(BaseModel):
    """What lies beside a built engine; `files` maps names to their sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    built_for: BuiltFor
    files: dict[str, str]


class Verdict(BaseModel):
    """How an engine, known by its digest, compared with the reference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine_digest: str
    parity: EngineParity


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder of the store: usable here, or why not."""

    folder: Path
    manifest: Manifest | None
    state: Literal["ok", "damaged", "foreign"]


class EngineStore:
    """Keeps built engines and parity results under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, built_for: BuiltFor) -> Path | None:
        """Return the folder of an engine, its files verified, or None when it was never built.

        Raises
        ------
        EngineFailure
            `damaged`: a file is missing or changed; `foreign`: it was built for something else. Remove the folder.
        """
        folder = self._folder / built_for.digest[:20]
        if not folder.is_dir():
            return None
        entry = _entry(folder, built_for)
        if entry.state != "ok":
            message = f"the built engine in {folder} is {entry.state}; remove the folder, it is built anew"
            raise EngineFailure(message, reason=entry.state)
        return folder

    def build(self, built_for: BuiltFor, write: Callable[[Path], None]) -> Path:
        """Let `write` fill a folder, and keep it whole or not at all; return where it lies then."""
        target = self._folder / built_for.digest[:20]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=BUILDING) as name:
            part = Path(name) / "engine"
            part.mkdir()
            write(part)
            files = {path.name: _sha256(path) for path in sorted(part.iterdir())}
            manifest = Manifest(built_for=built_for, files=files)
            (part / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            try:
                part.rename(target)
            except OSError:
                if not target.is_dir():  # else another process has just kept the same engine
                    raise
        return target

    def _sweep(self) -> None:
        """Remove what builds that were killed have left; those of today may still be at work."""
        for left in self._folder.glob(f"{BUILDING}*"):
            with contextlib.suppress(OSError):  # gone meanwhile
                if time.time() - left.stat().st_mtime > ABANDONED_S:
                    shutil.rmtree(left)

    def entries(self, machine: dict[str, str]) -> Iterator[Entry]:
        """Yield every engine that lies here; one built for a machine other than `machine` is foreign."""
        for path in sorted(self._folder.glob(f"*/{MANIFEST}")):
            entry = _entry(path.parent, None)
            if entry.state == "ok" and entry.manifest is not None and entry.manifest.built_for.machine != machine:
                entry = Entry(entry.folder, entry.manifest, "foreign")
            yield entry

    def verdict(self, key: str) -> Verdict | None:
        """Return a stored comparison; None when there is none, or none that can be read."""
        try:
            return Verdict.model_validate_json(self._verdict(key).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def keep_verdict(self, key: str, verdict: Verdict) -> None:
        """Store a comparison under its key."""
        file = self._verdict(key)
        write_whole(file, f"{verdict.model_dump_json(indent=1)}\n".encode())

    def _verdict(self, key: str) -> Path:
        return self._folder / PARITY / f"{key[:20]}.json"


def kept_digest(folder: Path) -> str:
    """Return the digest of a kept engine, of what it was built for and of its files."""
    return _sha256(folder / MANIFEST)


def _entry(folder: Path, expected: BuiltFor | None) -> Entry:
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, ValidationError):
        return Entry(folder, None, "damaged")
    for name, digest in manifest.files.items():
        file = folder / name
        if file.parent != folder or not file.is_file() or _sha256(file) != digest:
            return Entry(folder, manifest, "damaged")
    named_otherwise = folder.name != manifest.built_for.digest[:20]
    if named_otherwise or (expected is not None and manifest.built_for != expected):
        return Entry(folder, manifest, "foreign")
    return Entry(folder, manifest, "ok")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
