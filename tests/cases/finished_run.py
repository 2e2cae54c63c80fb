"""A small state folder as a run leaves it: six pictures of two flasks, one of them out of focus, and a failure."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cases.page_state import Picture, record_pictures

from monitor.messages import FrameFailed
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord

END = datetime(2026, 3, 10, 12, tzinfo=UTC)
FAILED = "f" * 64


def record_run(home: Path) -> StateFolder:
    """Make `home / "state"` and `home / "frames"`; flask A1 has four frames, the third out of focus, B2 two."""
    state = StateFolder(home / "state")
    state.create()
    taken = []
    for number, flask in enumerate(("A1", "A1", "A1", "A1", "B2", "B2")):
        at = END - timedelta(hours=6 - number)
        reason = "out_of_focus" if number == 2 else None
        taken.append(Picture(flask, "p1", at, number, f"{at:%Y%m%dT%H%M%SZ}", reason))
    record_pictures(home, state, taken, END)
    with SqliteRecord(state.record) as record:
        record.put_failure(FrameFailed(frame_id=FAILED, stage="segmenter", reason="vanished", detail="it is gone"))
    return state
