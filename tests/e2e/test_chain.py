"""The chain with real processes equals the pipeline in one process, frame by frame."""

from pathlib import Path

import pytest
from cases.installation import Installation, without_revision
from cases.small_frames import key_is_in_pixels, write_small_frame


@pytest.mark.slow
def test_services_publish_what_the_pipeline_computes(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    with installation.running(until_idle_s=2.0):
        for time_index in range(8):
            for flask in ("A", 'B "quoted" µ'):
                for position in ("p1", "p2"):
                    write_small_frame(installation.watch, flask, position, time_index)
    report = installation.report
    assert report is not None
    assert report.exit_code == 0
    assert (report.completeness.ledger, report.completeness.results, report.doubled) == (32, 32, 0)

    estimates = installation.estimates()
    oracle = installation.oracle()
    assert set(estimates) == set(oracle.estimates)
    for frame_id, estimate in estimates.items():
        assert without_revision(estimate) == oracle.estimates[frame_id]
        key = estimate.key
        assert key_is_in_pixels(installation.watch / estimate.source, key.flask, key.position, key.time_point)
