"""Files that a user asked for: whole or not at all, and told about before long work where they cannot be written."""

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from monitor import whole_file
from monitor.errors import SettingsError

if TYPE_CHECKING:
    from PIL import Image


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; killed on the way it leaves the earlier one as it was. A pipe or device is written to as it is.

    Raises
    ------
    SettingsError
        `out` where it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        if not path.resolve().parent.is_dir():
            raise _refused(path, "No such folder")
        whole_file.write_whole(path, content)
    except OSError as error:
        raise _refused(path, error.strerror) from error


def write_json(path: Path, report: object) -> None:
    """Write a report as JSON; as `write_whole`."""
    write_whole(path, f"{json.dumps(report, indent=1)}\n".encode())


def write_png(path: Path, picture: "Image.Image") -> None:
    """Write a picture as PNG, whatever the ending of its name; as `write_whole`."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    write_whole(path, stream.getvalue())


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written later.

    Raises
    ------
    SettingsError
        `out`, with the mend.
    """
    folder = path.resolve().parent
    if path.is_dir():
        raise _refused(path, "Is a directory")
    if not folder.is_dir():
        raise _refused(path, "No such folder")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise _refused(path, "Permission denied")


def _refused(path: Path, why: str | None) -> SettingsError:
    return SettingsError(f"{path} cannot be written ({why}); choose another file", reason="out")
