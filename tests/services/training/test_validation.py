"""What is chosen after a training: how maps become labels, and which cells are believed."""

from pathlib import Path

import numpy as np
import torch
from cases.phantoms import phantom

from monitor.network.checkpoint import CONFIDENCE_COLUMNS, CellConfidence, DecodeSettings
from monitor.network.segnet import PLANES, SegmentationNetwork
from monitor.segmentation.labels import instances_of
from monitor.training.confidence import overlap
from monitor.training.sources import LabelledImage
from monitor.training.targets import centre_map
from monitor.training.train import TrainSettings
from services.training.validation import CurveLog, choose_decode, with_confidence

SURE_OF_ALL = CellConfidence(intercept=9.0, **dict.fromkeys(CONFIDENCE_COLUMNS, 0.0), least=0.4)


def field(seed: int) -> tuple[LabelledImage, np.ndarray]:
    """A phantom of which every third cell is no cell to its labels, and maps that are less sure of those."""
    taken = phantom(seed, covered=0.5)
    wrong = np.isin(taken.cells, np.arange(3, int(taken.cells.max()) + 1, 3))
    truth = np.where(wrong, 0, taken.cells).astype(np.int32)
    random = np.random.default_rng(seed)
    maps = np.full((5, *truth.shape), -5.0, np.float32)
    maps[0] = np.where(taken.cells > 0, np.where(wrong, 1.0, 4.0) + random.normal(0.0, 0.2, truth.shape), -5.0)
    maps[1] = centre_map(taken.cells)
    return LabelledImage(f"{seed}.png", taken.pixels, truth, None, taken.pixel_size_um), maps


def test_unsure_cells_are_left_out_as_learnt_on_the_fields() -> None:
    fields, maps = zip(*(field(seed) for seed in range(8)), strict=True)
    bare = DecodeSettings(threshold=0.6)
    chosen = with_confidence(bare, fields, maps, fields[0].pixel_size_um)
    assert chosen.confidence is not None
    image, shown = field(20)
    for decode, least_share in ((bare, 0.0), (chosen, 0.95)):
        cells = instances_of(shown, PLANES, decode, image.pixel_size_um).cells
        right = overlap(image.cells, cells, int(cells.max())) >= 0.5
        assert right.sum() > 5
        assert right.mean() >= least_share
        assert least_share > 0.0 or right.mean() < 0.8


def test_what_was_learnt_on_other_weights_is_not_kept() -> None:
    torch.manual_seed(0)
    network = SegmentationNetwork(0.125, 16).eval()
    settings = TrainSettings(width=0.125, decoder_channels=16, pixel_size_um=1.1)
    before = DecodeSettings(confidence=SURE_OF_ALL)
    assert choose_decode(network, settings, before, []).confidence is None
    assert choose_decode(network, settings, before, [field(1)[0]]).confidence is None


def test_what_a_killed_run_writes_again_counts_once(tmp_path: Path) -> None:
    record = CurveLog(tmp_path / "curve.jsonl")
    assert record.rows() == []
    judged = {"step": 100, "ap50": 0.6}
    for row in ({"step": 50, "loss": 3.0}, {"step": 100, "loss": 2.0}, judged, {"step": 150, "loss": 1.0}):
        record.add(row)
    again = [{"step": 100, "loss": 2.1}, {"step": 100, "ap50": 0.61}]
    for row in again:
        record.add(row)
    with (tmp_path / "curve.jsonl").open("a") as stream:
        stream.write('{"step": 150, "lo')
    assert record.rows() == [{"step": 50, "loss": 3.0}, *again]
