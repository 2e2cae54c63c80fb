"""A folder that appears whole or not at all, however the program ends."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(out: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a new folder beside `out` to write into; it gets that name when the block ends well, and goes otherwise.

    With `replace`, what lies at `out` goes once the new folder is written: a program that is killed before leaves the
    old one. Killed between the two renamings it leaves both, under hidden names beside `out`.

    Raises
    ------
    OSError
        When the place cannot be written, or something lies at `out` that is not to be replaced.
    """
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield made
        _sync(made)
        made.chmod(0o755)
        if replace and out.exists():
            before = Path(tempfile.mkdtemp(prefix=f".{out.name}.before.", dir=out.parent))
            out.rename(before)
            made.rename(out)
            shutil.rmtree(before)
        else:
            made.rename(out)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _sync(folder: Path) -> None:
    """Bring files to the disk before their folder gets its name."""
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
