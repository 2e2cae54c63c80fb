"""What lies where in a state folder; everything a run keeps is in here, so two runs beside each other never meet."""

from dataclasses import dataclass
from pathlib import Path

from monitor.errors import SettingsError


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Names of the parts of a state folder.

    >>> StateFolder(Path("state")).record.as_posix()
    'state/record.sqlite3'
    """

    root: Path

    @property
    def ledger(self) -> Path:
        """What was seen and what became of it; written by the ingester."""
        return self.root / "ledger.sqlite3"

    @property
    def record(self) -> Path:
        """Measurements, estimates and alarms."""
        return self.root / "record.sqlite3"

    @property
    def outbox(self) -> Path:
        """Deliveries of alarms, done and due; written by the notifier."""
        return self.root / "outbox.sqlite3"

    @property
    def assays(self) -> Path:
        """Later results of the laboratory beside the estimates that foretold them; written by `cellvigil assay`."""
        return self.root / "assays.sqlite3"

    @property
    def users(self) -> Path:
        """Who may use the operator's page: users, sessions, tokens; written by the page and its commands."""
        return self.root / "users.sqlite3"

    @property
    def page(self) -> Path:
        """Where the operator's page can be opened, while it can: JSON with `url` and `pid`."""
        return self.root / "page.json"

    @property
    def settings(self) -> Path:
        """The settings in force, as `cellvigil run` leaves them for its workers and for whoever asks later."""
        return self.root / "settings.json"

    @property
    def masks(self) -> Path:
        """Label images of cells and nuclei."""
        return self.root / "masks"

    @property
    def engines(self) -> Path:
        """Engines that were built for this machine, and how they agreed with the reference."""
        return self.root / "engines"

    @property
    def logs(self) -> Path:
        """One log file per worker, JSON lines."""
        return self.root / "logs"

    def create(self) -> None:
        """Make the folders that workers expect."""
        for folder in (self.root, self.masks, self.logs):
            folder.mkdir(parents=True, exist_ok=True)


def recorded_state(folder: Path) -> StateFolder:
    """Return a state folder in which something ran.

    Raises
    ------
    SettingsError
        `no_state` where nothing did.
    """
    state = StateFolder(folder)
    if not state.record.is_file():
        message = f"{folder} holds no run; name a state folder with --state, or start one with `cellvigil run`"
        raise SettingsError(message, reason="no_state")
    return state
