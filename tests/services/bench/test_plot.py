"""The picture of a report shows something, with load and without."""

import numpy as np
import pytest
from cases.bench_report import report

from services.bench.plot import WIDTH_PX, draw

BLUE, LIMIT = (40, 90, 160), (200, 80, 30)


@pytest.mark.parametrize("loaded", [True, False])
def test_picture_has_bars_the_limit_and_no_text_beyond_its_edge(*, loaded: bool):
    picture = draw(report(loaded=loaded))

    pixels = np.asarray(picture)
    assert picture.mode == "RGB" and picture.width == WIDTH_PX
    for colour in (BLUE, LIMIT):
        assert (pixels == colour).all(axis=-1).sum() > 50
    assert (pixels[:, -10:] == 255).all()
    assert (pixels[-5:] == 255).all()


def test_load_makes_the_picture_longer():
    assert draw(report()).height > draw(report(loaded=False)).height


def test_report_without_roofline_is_drawn():
    found = report()
    for engine in found["engines"]:
        for times in engine["times"]:
            times |= {"roofline_ms_per_frame": None, "of_roofline": None}

    assert not (np.asarray(draw(found)) == LIMIT).all(axis=-1).any()
