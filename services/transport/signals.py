"""What ends a worker: SIGTERM and SIGINT, after what it has in hand, and the loss of its parent."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def ends_at_once() -> Iterator[None]:
    """Let a signal end the process: it has nothing in hand yet, and an engine may take minutes to make."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.signal(number, signal.SIG_DFL) for number in STOPPING}
    try:
        yield
    finally:
        for number, answer in kept.items():
            signal.signal(number, answer)


def install_signals(stop: threading.Event) -> None:
    """Let the first SIGTERM or SIGINT finish the work in hand, and the second end the process at once."""
    seen = False

    def answer(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        if seen:
            os._exit(128 + number)
        seen = True
        # not from here: the interrupted thread may hold the event's own lock
        threading.Thread(target=stop.set, name="stop", daemon=True).start()

    for number in STOPPING:
        signal.signal(number, answer)


def follow_parent(period_s: float = 1.0) -> None:
    """Send this process SIGTERM when its parent is gone, so that a killed supervisor leaves no worker behind."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(period_s)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()
