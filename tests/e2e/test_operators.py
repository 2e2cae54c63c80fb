"""Operators act on alarms by command while the real processes run, and while they do not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cases.installation import Installation, wait_for
from cases.small_frames import write_small_frame

from monitor.messages import AlarmState
from services.store.record_sqlite import SqliteRecord


def command(installation: Installation, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.main", "alarms", *words, "--state", str(installation.state.root)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def events(installation: Installation) -> list[tuple[str, str]]:
    with SqliteRecord(installation.state.record, readonly=True) as record:
        return [(alarm.state.value, alarm.by) for alarm in record.alarms("A1")]


def standing(installation: Installation) -> dict[str, Any]:
    (line,) = json.loads(command(installation, "list", "--json").stdout)
    return dict(line)


@pytest.mark.slow
def test_an_acknowledgement_reaches_a_running_predictor_and_a_stopped_one_finds_it_at_its_start(tmp_path: Path) -> None:
    installation = Installation(tmp_path, watch={"expected_interval_s": 2.0})
    write_small_frame(installation.watch, "A1", "p1", 0)
    with installation.running():
        wait_for(lambda: installation.supervisor is not None and events(installation), 120, "the arrival alarm")
        assert standing(installation)["status"] == "unacknowledged"
        done = command(installation, "ack", "A1", "--by", "anna", "--why", "the pump is off")
        assert (done.returncode, done.stdout.strip()) == (0, "A1 arrival: acknowledge by anna: done"), done.stderr
        assert standing(installation)["status"] == "acknowledged"
    assert events(installation) == [("raised", "cellvigil"), ("acknowledged", "anna")]

    done = command(installation, "shelve", "A1", "arrival", "--hours", "5", "--by", "ben")
    assert done.returncode == 0
    assert "takes effect as soon as cellvigil runs" in done.stdout
    assert standing(installation)["waiting"] == ["shelve by ben"]
    with installation.running(until_idle_s=2.0):
        pass
    assert standing(installation)["status"] == "shelved"
    assert events(installation)[-1] == (AlarmState.SHELVED.value, "ben")
    log = command(installation, "log")
    assert log.returncode == 0
    assert "by ben: shelved by ben until" in log.stdout


@pytest.mark.slow
def test_an_acknowledgement_does_not_pass_through_the_process_that_watches_the_folder(tmp_path: Path) -> None:
    """A share that hangs stops the ingester; whoever is woken must be able to say that they know."""
    installation = Installation(tmp_path, watch={"expected_interval_s": 2.0})
    write_small_frame(installation.watch, "A1", "p1", 0)
    with installation.running():
        wait_for(lambda: installation.supervisor is not None and events(installation), 120, "the arrival alarm")
        (ingester,) = installation.pids("ingester")
        os.kill(ingester, signal.SIGSTOP)
        try:
            done = command(installation, "ack", "A1", "--by", "anna")
        finally:
            os.kill(ingester, signal.SIGCONT)
        assert (done.returncode, done.stdout.strip()) == (0, "A1 arrival: acknowledge by anna: done"), done.stderr
        assert standing(installation)["status"] == "acknowledged"
