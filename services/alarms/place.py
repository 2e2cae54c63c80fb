"""Where the alarms of a state folder lie, and the settings that they are judged by."""

from pathlib import Path

from monitor.errors import SettingsError
from services.settings import Settings, load_settings
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord


def opened(folder: Path) -> tuple[StateFolder, SqliteRecord]:
    """Open the record of a state folder.

    Raises
    ------
    SettingsError
        The folder holds no run.
    """
    state = StateFolder(folder)
    if not state.record.is_file():
        message = f"{folder} holds no run; name a state folder with --state, or start one with `cellvigil run`"
        raise SettingsError(message, reason="no_state")
    return state, SqliteRecord(state.record)


def settings_of(state: StateFolder, config: Path | None = None) -> Settings:
    """Return the settings in force: those that `cellvigil run` left in the folder, unless a file is given."""
    left = state.root / "settings.json"
    return load_settings(config or (left if left.is_file() else None))
