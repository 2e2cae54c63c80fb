"""A real phase-contrast time lapse through the whole chain, played as a microscope would."""

from pathlib import Path

import numpy as np
import pytest
from cases.installation import Installation
from PIL import Image

from services.chain.console import write_overlays
from services.chain.replay import replay_folder

SERIES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "phase_contrast_timelapse"


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(not SERIES.is_dir(), reason="the shared time lapse does not lie beside the checkout")
def test_the_real_time_lapse_goes_through(tmp_path: Path) -> None:
    installation = Installation(tmp_path, watch={"pixel_size_um": 0.87})
    with installation.running(until_idle_s=4.0):
        played = replay_folder(SERIES, installation.watch, rate=10.0, pattern="2018*.png", flask="T98G")
    report = installation.report
    assert played == 37
    assert report is not None
    assert (report.completeness.ledger, report.completeness.results, report.doubled) == (37, 37, 0)
    estimates = sorted(installation.estimates().values(), key=lambda estimate: estimate.acquired_at)
    cells = [estimate.n_cells for estimate in estimates]
    # the hand-drawn masks of the first frame count the same field's cells
    with Image.open(SERIES / "t01_instances_x256-767.png") as truth:
        counted = len(np.unique(np.asarray(truth))) - 1
    assert 0.5 * counted <= cells[0] <= 1.6 * counted
    assert np.ptp(cells) <= 0.6 * np.median(cells)
    assert write_overlays(installation.state.root, tmp_path / "overlays", None, 9) == 0
    assert len(list((tmp_path / "overlays").glob("*.png"))) == 5
