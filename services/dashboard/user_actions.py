"""What somebody did on the page or with its commands, written into the audit log."""

import uuid
from datetime import UTC, datetime

from services.state_folder import StateFolder
from services.store.audit import UserAction
from services.store.record_sqlite import SqliteRecord


def note_user_action(state: StateFolder, by: str | None, what: str, subject: str, why: str = "") -> None:
    """Write a deed into the audit log; there is none before anything was recorded.

    Raises
    ------
    BackPressure
        The record cannot be written now.
    """
    if not state.record.is_file():
        return
    deed = UserAction(
        deed_id=uuid.uuid4().hex,
        what=what,
        subject=subject[:500],
        at=datetime.now(UTC),
        by=(by or "nobody")[:200],
        why=why[:1000],
    )
    with SqliteRecord(state.record) as record:
        record.put_user_action(deed)
