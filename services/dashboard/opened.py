"""A database of the state folder, open for a look."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

WAIT_S = 5.0


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Open a database for reading while the context lasts, one view of it all along; None where there is none yet."""
    if not path.is_file():
        yield None
        return
    uri = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        yield connection
