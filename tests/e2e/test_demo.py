"""The demo: exactly the three troubled flasks alarm, each in its own channel, and nothing is lost or doubled."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_demo_raises_the_three_right_alarms(tmp_path: Path) -> None:
    summary_file = tmp_path / "summary.json"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-m", "services.main", "demo", "--json", str(summary_file)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=590,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(summary_file.read_text())
    assert (summary["lost"], summary["doubled"]) == (0, 0)
    assert summary["frames_in"] == summary["ledger"] == summary["results"] > 300
    alarms = {alarm["flask"]: alarm for alarm in summary["alarms"]}
    assert {flask: alarm["channel"] for flask, alarm in alarms.items()} == {
        "B-declines": "potency",
        "C-loses-focus": "optics",
        "D-stops": "arrival",
    }
    assert len(summary["alarms"]) == 3
    for alarm in summary["alarms"]:
        assert 0 <= alarm["raised_frame"] - alarm["onset_frame"] <= 12
