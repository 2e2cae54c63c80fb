import numpy as np
import pytest
from cases.phantoms import matches, phantom
from cases.plain_engine import PlainEngine
from numpy.typing import NDArray

from monitor.engine.eager import EagerEngine
from monitor.engine.tiled import TiledEngine
from monitor.frames.frame import Frame
from monitor.network.checkpoint import SHIPPED, load_network
from monitor.segmentation.segmenter import Segmentation, Segmenter

needs_weights = pytest.mark.skipif(not SHIPPED.is_file(), reason="no weights lie in monitor/network/weights")


class Place(PlainEngine):
    """Maps that are the input itself, so that it is seen what came from where; remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.shapes.append(batch.shape)
        return np.concatenate([batch, -batch], axis=1)


@pytest.mark.parametrize("shape", [(320, 480), (96, 640), (640, 96), (256, 257 - 1), (224, 992)])
def test_every_pixel_comes_from_its_own_place(shape: tuple[int, int]) -> None:
    inner = Place()
    batch = np.random.default_rng(1).normal(size=(2, 1, *shape)).astype(np.float32)
    found = TiledEngine(inner, tile_px=192, margin_px=32)(batch)
    assert (found[:, :1] == batch).all() and (found[:, 1:] == -batch).all()
    assert max(max(seen[2:]) for seen in inner.shapes) <= 192
    assert len(set(inner.shapes)) == 1
    assert all(side % 32 == 0 for side in inner.shapes[0][2:])


def test_a_frame_that_fits_goes_through_whole() -> None:
    inner = Place()
    TiledEngine(inner, tile_px=192, margin_px=32)(np.zeros((3, 1, 192, 128), np.float32))
    assert inner.shapes == [(3, 1, 192, 128)]


def test_what_lies_near_an_inner_edge_of_a_tile_is_thrown_away() -> None:
    class Edges(Place):
        def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            marked = batch.copy()
            marked[:, :, :30] = marked[:, :, -30:] = marked[:, :, :, :30] = marked[:, :, :, -30:] = 9.0
            return marked

    found = TiledEngine(Edges(), tile_px=192, margin_px=32)(np.zeros((1, 1, 416, 480), np.float32))[0, 0]
    assert (found[:30] == 9.0).all()
    assert not found[30:-30, 30:-30].any()


def test_tiles_change_the_digest_and_bad_tiles_are_refused() -> None:
    inner = PlainEngine()
    assert TiledEngine(inner, tile_px=768).digest != TiledEngine(inner, tile_px=1024).digest != inner.digest
    assert TiledEngine(inner).name == inner.name
    for tile_px, margin_px in ((100, 32), (192, 40), (128, 64)):
        with pytest.raises(ValueError, match="multiples of 32"):
            TiledEngine(inner, tile_px=tile_px, margin_px=margin_px)


@needs_weights
def test_tiled_and_whole_give_the_same_instances() -> None:
    truth = phantom(5, covered=0.45, shape_px=(700, 820))
    network, card = load_network()
    whole, tiled = (
        Segmenter(engine, card).segment([Frame(truth.pixels, truth.pixel_size_um)])[0]
        for engine in (EagerEngine(network), TiledEngine(EagerEngine(network), tile_px=448, margin_px=160))
    )
    assert isinstance(whole, Segmentation) and isinstance(tiled, Segmentation)
    same, n_whole, n_tiled = matches(whole.cells, tiled.cells, 0.9)
    assert same == n_whole == n_tiled > 30
    same, n_whole, n_tiled = matches(whole.nuclei, tiled.nuclei, 0.8)
    assert same == n_whole == n_tiled > 30
    assert (whole.cells > 0).mean() == pytest.approx((tiled.cells > 0).mean(), rel=0.005)
