"""A state folder as a predictor leaves it: rows of a flask folded into its record, without a queue or a model."""

import random
from collections.abc import Sequence
from pathlib import Path

from monitor.culture.rows import CultureRow
from monitor.culture.settings import CultureSettings
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.workers.predictor import FlaskFolder

SETTINGS = CultureSettings(baseline_frames=8, window_frames=6)


def folded(folder: Path, rows: Sequence[CultureRow], *, seed: int | None = None) -> StateFolder:
    """Fold rows into the record of a state folder, one by one; shuffled where a seed is given."""
    state = StateFolder(folder)
    state.create()
    (state.root / "settings.json").write_text('{"culture": {"baseline_frames": 8, "window_frames": 6}}')
    order = list(rows)
    if seed is not None:
        random.Random(seed).shuffle(order)
    folder_of_flasks = FlaskFolder(SETTINGS)
    with SqliteRecord(state.record) as record:
        for row in order:
            with record.flask(row.flask) as transaction:
                folder_of_flasks.bring_in(row.flask, row, transaction)
    return state
