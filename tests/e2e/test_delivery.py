"""Nothing lost, nothing doubled: workers killed at random, the queue restarted and wiped, under load."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
import redis
from cases.installation import Installation, wait_for, without_revision
from cases.small_frames import write_small_frame

from services.transport.server import server_status

FLASKS, POSITIONS, TIME_POINTS = 3, 2, 52
KILLS = 22


@pytest.mark.slow
def test_kills_restarts_and_a_wipe_lose_and_double_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.chain.supervisor.RESTART_MOST_S", 0.5)
    chance = random.Random(5)
    troubles = {6: _restart_server, 12: _restart_server, 17: _wipe_server}
    installation = Installation(tmp_path)
    killed = 0
    with installation.running(until_idle_s=8.0):
        writer = threading.Thread(target=_write_all, args=(installation.watch,))
        writer.start()
        wait_for(lambda: len(installation.pids("segmenter")) == 1, 30, "the segmenter")
        while killed < KILLS:
            time.sleep(chance.uniform(0.3, 6.0))
            kind = chance.choice(["segmenter", "predictor"])
            for pid in installation.pids(kind):
                os.kill(pid, signal.SIGKILL)
                killed += 1
            for trouble in [troubles.pop(count) for count in sorted(troubles) if killed >= count]:
                trouble(installation)
        writer.join()
    frames = FLASKS * POSITIONS * TIME_POINTS
    report = installation.report
    assert report is not None
    assert (report.completeness.ledger, report.completeness.results, report.completeness.waiting) == (frames, frames, 0)
    assert not troubles
    assert sum(report.supervisor.restarts.values()) >= 20
    estimates = installation.estimates()
    oracle = installation.oracle()
    assert len(estimates) == frames >= 300
    assert {i: without_revision(e) for i, e in estimates.items()} == oracle.estimates


def _write_all(watch: Path) -> None:
    for time_index in range(TIME_POINTS):
        for flask in range(FLASKS):
            for position in range(POSITIONS):
                write_small_frame(watch, f"F{flask}", f"p{position}", time_index)
        time.sleep(0.8)


def _restart_server(installation: Installation) -> None:
    running = server_status(installation.state.root)
    assert running is not None
    assert running.pid is not None
    os.kill(running.pid, signal.SIGKILL)
    wait_for(lambda: _server_pid(installation) not in (None, running.pid), 20, "another server")


def _server_pid(installation: Installation) -> int | None:
    running = server_status(installation.state.root)
    return running.pid if running else None


def _wipe_server(installation: Installation) -> None:
    running = server_status(installation.state.root)
    assert running is not None
    client = redis.Redis.from_url(running.url)
    client.flushall()
    client.close()
