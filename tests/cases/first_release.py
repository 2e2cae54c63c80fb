"""A state folder as cellvigil 0.1.0 left it: two flasks of five frames, one unreadable file, an alarm that somebody
acknowledged, a silence, a user. It was made by the commit of that release with `small_frames`, for ten minutes' work.

`results.csv` beside it is what `cellvigil results` of that release wrote.
"""

import json
import os
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

from cases.small_frames import write_small_frame

ARCHIVE = Path(__file__).with_name("state_0_1_0.tar.gz")
FLASKS = ("A1", "B2")
FRAMES = 5


def first_release(folder: Path) -> Path:
    """Unpack it, with the frames that it was made of beside it; return the state folder."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    state, watch = folder / "state", folder / "frames"
    for flask in FLASKS:
        for time_index in range(FRAMES):
            write_small_frame(watch, flask, "p1", time_index)
    (watch / "A1" / "20260310T200000Z.tif").write_bytes(b"no TIFF at all")
    with closing(sqlite3.connect(state / "ledger.sqlite3")) as ledger:
        for source, mtime_ns in ledger.execute("SELECT source, mtime_ns FROM files"):
            os.utime(watch / source, ns=(mtime_ns, mtime_ns))
    settings = json.loads((state / "settings.json").read_text())
    settings |= {"state": str(state), "watch": {**settings["watch"], "folder": str(watch)}}
    settings["server"]["url"] = None
    (state / "settings.json").write_text(json.dumps(settings))
    return state
