"""A thumbnail of one cell."""

import numpy as np

from monitor.segmentation.one_cell import box_of, draw_cell


def test_beyond_the_frame_a_thumbnail_is_black_and_a_cut_cell_ends_at_the_border() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[:10, 15:25] = 1
    pixels = np.full(labels.shape, 1000, np.uint16)
    picture = draw_cell(pixels, labels, 1, box_of(labels, 1), 30, (0.0, 1000.0))
    assert picture.shape == (30, 30, 3)
    assert not picture[:10].any()
    assert (picture[10:] > 0).any(axis=2).all()
    amber = (picture != picture[:, :, :1]).any(axis=2)
    rows = np.flatnonzero(amber.any(axis=1))
    assert rows[0] == 10
    assert rows[-1] in (19, 20)
