"""Where the alarms of a state folder lie."""

from pathlib import Path

from services.state_folder import StateFolder, recorded_state
from services.store.record_sqlite import SqliteRecord


def opened(folder: Path) -> tuple[StateFolder, SqliteRecord]:
    """Open the record of a state folder.

    Raises
    ------
    SettingsError
        The folder holds no run.
    """
    state = recorded_state(folder)
    return state, SqliteRecord(state.record)
