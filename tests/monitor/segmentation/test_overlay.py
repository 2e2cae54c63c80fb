import numpy as np

from monitor.segmentation.overlay import CELL_RGB, NUCLEUS_RGB, outline, render_overlay

SHAPE = (40, 50)


def masks() -> tuple[np.ndarray, np.ndarray]:
    cells, nuclei = np.zeros((2, *SHAPE), np.int32)
    cells[5:25, 5:20], cells[5:25, 20:35] = 1, 2
    nuclei[10:15, 10:15] = 1
    return cells, nuclei


def painted(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == np.array(colour, np.uint8)).all(2)


def test_cells_and_nuclei_are_outlined_in_their_colours_and_nothing_else_is_painted() -> None:
    pixels = np.random.default_rng(0).integers(500, 900, SHAPE).astype(np.uint16)
    cells, nuclei = masks()
    picture = render_overlay(pixels, cells, nuclei)
    assert picture.shape == (*SHAPE, 3)
    assert picture.dtype == np.uint8
    amber, blue = painted(picture, CELL_RGB), painted(picture, NUCLEUS_RGB)
    assert (amber == outline(cells)).all()
    assert (blue == outline(nuclei)).all()
    grey = picture[~(amber | blue)]
    assert (grey[:, 0] == grey[:, 1]).all()
    assert (grey[:, 0] == grey[:, 2]).all()


def test_outlines_run_around_every_cell_and_between_touching_ones() -> None:
    edge = outline(masks()[0])
    assert edge[10, 19]
    assert edge[10, 4] and edge[10, 34]
    assert edge[4, 10] and edge[24, 10]
    assert not edge[8:20, 8:17].any()
    assert not edge[28:].any()


def test_a_nucleus_at_the_edge_of_its_cell_stays_visible() -> None:
    cells, nuclei = masks()
    nuclei[:] = 0
    nuclei[5:10, 5:10] = 1
    picture = render_overlay(np.arange(2000).reshape(SHAPE), cells, nuclei)
    assert painted(picture, NUCLEUS_RGB)[outline(nuclei)].all()


def test_grey_is_stretched_between_the_outer_percentiles() -> None:
    nothing = np.zeros(SHAPE, np.int32)
    picture = render_overlay(np.linspace(-3.0, 7.0, 2000).reshape(SHAPE), nothing, nothing)[:, :, 0]
    assert (picture[0, 0], picture[-1, -1]) == (0, 255)
    assert abs(int(picture[20, 0]) - 127) <= 2
    assert (np.diff(picture.ravel().astype(int)) >= 0).all()


def test_a_constant_frame_is_black() -> None:
    nothing = np.zeros(SHAPE, np.int32)
    assert not render_overlay(np.full(SHAPE, 700, np.uint16), nothing, nothing).any()


def test_neither_frame_nor_labels_are_changed() -> None:
    pixels = np.arange(2000).reshape(SHAPE).astype(np.uint16)
    cells, nuclei = masks()
    before = pixels.copy(), cells.copy(), nuclei.copy()
    render_overlay(pixels, cells, nuclei)
    for now, then in zip((pixels, cells, nuclei), before, strict=True):
        assert (now == then).all()
