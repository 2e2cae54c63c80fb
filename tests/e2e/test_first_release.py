"""A state folder that cellvigil 0.1.0 left is opened, brought up and gone on with."""

from pathlib import Path

import pytest
from cases.first_release import FLASKS, FRAMES, first_release
from cases.installation import Installation
from cases.small_frames import write_small_frame

from services.store.audit import broken_at
from services.store.ledger import Ledger
from services.store.record_sqlite import SqliteRecord


@pytest.mark.slow
def test_a_state_folder_of_the_first_release_is_continued(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    first_release(tmp_path)
    with SqliteRecord(installation.state.record, readonly=True) as record:
        before = record.estimates()
        sealed = [line.hash for line in record.audit_lines()]
    with installation.running(until_idle_s=2.0):
        for flask in FLASKS:
            write_small_frame(installation.watch, flask, "p1", FRAMES)
    report = installation.report
    assert report is not None
    # ten frames and an unreadable file from before, a frame more of each flask
    assert (report.completeness.ledger, report.completeness.waiting, report.doubled) == (13, 0, 0)

    with SqliteRecord(installation.state.record, readonly=True) as record:
        after = record.estimates()
        lines = list(record.audit_lines())
    assert len(after) == len(before) + len(FLASKS)
    kept = {estimate.frame_id: estimate.estimate for estimate in after}
    assert {one.frame_id: kept[one.frame_id] for one in before} == {one.frame_id: one.estimate for one in before}
    assert [line.hash for line in lines[: len(sealed)]] == sealed
    assert broken_at(lines) is None
    with Ledger(installation.state.ledger, readonly=True) as ledger:
        assert ledger.counts()["settled"] == 12
