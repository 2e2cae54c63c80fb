from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases.phantoms import matched_f1, phantom
from cases.plain_engine import CARD, PlainEngine, disc_frame, disc_grid, disc_pixels, plain_segmenter

from monitor.errors import EngineFailure, FrameRejected, ModelRefused
from monitor.frames.frame import Frame
from monitor.network.checkpoint import SHIPPED, save_network
from monitor.network.segnet import SegmentationNetwork
from monitor.segmentation.segmenter import Segmentation, Segmenter, load_segmenter

needs_weights = pytest.mark.skipif(not SHIPPED.is_file(), reason="no weights lie in monitor/network/weights")


def segmented(segmenter: Segmenter, frame: Frame) -> Segmentation:
    (found,) = segmenter.segment([frame])
    assert isinstance(found, Segmentation)
    return found


def same(one: Segmentation, other: Segmentation) -> bool:
    masks = (one.cells == other.cells).all() and (one.nuclei == other.nuclei).all()
    return bool(masks) and one.quality == other.quality


def bad_frame() -> Frame:
    return Frame(np.full((160, 192), np.nan, np.float32), 1.0)


def test_discs_are_found_with_their_nuclei() -> None:
    found = segmented(plain_segmenter(), disc_frame(disc_grid(7)))
    assert (found.n_cells, found.n_nuclei) == (7, 7)
    assert found.quality.passes
    assert found.cells.shape == (160, 192)
    assert found.cells.dtype == found.nuclei.dtype == np.int32
    for label in range(1, 8):
        assert len(np.unique(found.cells[found.nuclei == label])) == 1
        assert (found.cells == label).sum() == pytest.approx(np.pi * 12.0**2, rel=0.1)


def test_results_come_in_the_order_of_the_frames_whatever_their_sizes() -> None:
    wide = disc_frame(disc_grid(5), (160, 256))
    frames = [disc_frame(disc_grid(3)), wide, disc_frame(disc_grid(8)), disc_frame(disc_grid(1)), wide]
    found = plain_segmenter(PlainEngine(batch_size=2)).segment(frames)
    assert [result.n_cells for result in found if isinstance(result, Segmentation)] == [3, 5, 8, 1, 5]


def test_a_bad_frame_never_touches_its_neighbours() -> None:
    first, last = disc_frame(disc_grid(4)), disc_frame(disc_grid(6))
    found = plain_segmenter().segment([first, bad_frame(), last])
    assert isinstance(found[1], FrameRejected)
    assert found[1].reason == "not_finite"
    assert isinstance(found[0], Segmentation) and isinstance(found[2], Segmentation)
    assert same(found[0], segmented(plain_segmenter(), first))
    assert same(found[2], segmented(plain_segmenter(), last))


def test_no_frames_give_no_results() -> None:
    engine = PlainEngine()
    assert plain_segmenter(engine).segment([]) == []
    assert engine.shapes == []


def test_batches_are_padded_to_multiples_of_32_and_no_larger_than_the_engine_likes() -> None:
    engine = PlainEngine(batch_size=4)
    plain_segmenter(engine).segment([disc_frame(disc_grid(2), (150, 190)) for _ in range(9)])
    assert engine.shapes == [(4, 1, 160, 192), (4, 1, 160, 192), (1, 1, 160, 192)]


def test_a_device_that_gives_up_is_given_smaller_batches() -> None:
    frames = [disc_frame(disc_grid(count)) for count in range(1, 6)]
    engine = PlainEngine(batch_size=8, most=2)
    found = plain_segmenter(engine).segment(frames)
    assert [result.n_cells for result in found if isinstance(result, Segmentation)] == [1, 2, 3, 4, 5]
    assert [shape[0] for shape in engine.shapes] == [5, 2, 3, 1, 2]


def test_a_device_that_refuses_single_frames_is_an_engine_failure() -> None:
    with pytest.raises(EngineFailure):
        plain_segmenter(PlainEngine(most=0)).segment([disc_frame(disc_grid(1))])


@pytest.mark.parametrize("factor", [2, 3])
def test_labels_lie_on_the_frames_own_grid(factor: int) -> None:
    pixels = disc_pixels(disc_grid(6))
    coarse = segmented(plain_segmenter(), Frame(pixels, 1.0))
    fine = segmented(plain_segmenter(), Frame(np.kron(pixels, np.ones((factor, factor), np.uint16)), 1.0 / factor))
    assert fine.cells.shape == (160 * factor, 192 * factor)
    assert (fine.n_cells, fine.n_nuclei) == (6, 6)
    enlarged = np.kron(coarse.cells, np.ones((factor, factor), np.int32))
    assert matched_f1(enlarged, fine.cells, 0.8) == 1.0
    assert np.unique(fine.cells).tolist() == list(range(7))


def test_cells_that_vanish_on_a_coarser_grid_leave_no_gap_in_the_labels() -> None:
    class Blind(PlainEngine):
        """Finds 25 small discs wherever it looks."""

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            pixels = disc_pixels(disc_grid(25), batch.shape[2:], radius=6.0) / 1000.0 - 1.0
            return super().__call__(np.stack([pixels[None]] * len(batch)))

    # a pixel of 20 um sees the network's map at 10, 30, 50: it meets 4 of the discs and misses the others
    found = segmented(plain_segmenter(Blind()), Frame(np.full((8, 8), 700, np.uint16), 20.0))
    assert found.cells.shape == (8, 8)
    assert np.unique(found.cells).tolist() == [0, 1, 2, 3, 4]
    assert found.n_cells == 4


def test_an_empty_field_has_no_cells_and_says_so() -> None:
    found = segmented(plain_segmenter(), Frame(np.full((96, 96), 1000, np.uint16), 1.0))
    assert (found.n_cells, found.n_nuclei) == (0, 0)
    assert found.quality.reason == "empty"


def test_it_says_what_it_was_made_of() -> None:
    segmenter = plain_segmenter()
    assert segmenter.engine_name == "plain"
    assert len(segmenter.engine_digest) == 64
    assert segmenter.engine_digest == plain_segmenter().engine_digest
    bolder = CARD.model_copy(update={"decode": CARD.decode.model_copy(update={"min_peak": 0.9})})
    assert segmenter.engine_digest != Segmenter(PlainEngine(), bolder).engine_digest
    assert segmenter.weights_digest == CARD.sha256
    assert segmenter.pixel_size_um == CARD.pixel_size_um


def test_warm_up_runs_the_whole_way_once() -> None:
    engine = PlainEngine()
    plain_segmenter(engine).warm_up()
    assert engine.shapes == [(1, 1, 256, 256)]


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused) as refused:
        load_segmenter(tmp_path / "nothing.json")
    assert refused.value.reason == "no_weights"


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    card: dict[str, Any] = CARD.model_dump(exclude={"weights", "sha256"}) | {"width": 0.125, "decoder_channels": 16}
    path = tmp_path / "tiny.json"
    save_network(SegmentationNetwork(0.125, 16).state_dict(), card, path)
    assert load_segmenter(path).pixel_size_um == 1.0
    with path.with_suffix(".safetensors").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ModelRefused) as refused:
        load_segmenter(path)
    assert refused.value.reason == "digest"


@needs_weights
def test_the_shipped_network_finds_most_simulated_cells() -> None:
    truth = phantom(11, covered=0.3)
    found = segmented(load_segmenter(), Frame(truth.pixels, truth.pixel_size_um))
    assert found.quality.passes
    assert matched_f1(truth.cells, found.cells) >= 0.6
    assert matched_f1(truth.nuclei, found.nuclei) >= 0.5


@needs_weights
def test_the_shipped_network_gives_a_frame_the_same_masks_alone_and_in_company() -> None:
    truth = phantom(11, covered=0.3)
    frame = Frame(truth.pixels, truth.pixel_size_um)
    segmenter = load_segmenter()
    alone = segmented(segmenter, frame)
    others = Frame(phantom(12, covered=0.5).pixels, truth.pixel_size_um)
    together = segmenter.segment([others, frame])[1]
    assert isinstance(together, Segmentation)
    # only a CPU promises it to the bit: there frames go through the network one by one
    assert same(alone, together) or torch.cuda.is_available()
