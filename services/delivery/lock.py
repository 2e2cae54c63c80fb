"""Only one process delivers from an outbox."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_LOOK_S = 0.5


@contextmanager
def sole_writer(path: Path, stop: threading.Event) -> Iterator[bool]:
    """Wait until no other process delivers from this outbox; yield False when `stop` came first.

    Two that deliver the same letters would deliver them twice. The lock goes with the process, however it ends.
    """
    with path.with_suffix(".lock").open("a") as lock:
        while not stop.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stop.wait(LOCK_LOOK_S)
            else:
                yield True
                return
        yield False
