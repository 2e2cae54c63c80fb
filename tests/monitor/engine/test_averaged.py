"""The eightfold engine: the same maps whichever way a frame is turned."""

import numpy as np
import pytest
import torch

from monitor.engine.averaged import EightfoldEngine
from monitor.engine.eager import EagerEngine
from monitor.network.segnet import SegmentationNetwork


def engine() -> EightfoldEngine:
    torch.manual_seed(4)
    return EightfoldEngine(EagerEngine(SegmentationNetwork(0.125, 16), device="cpu"))


FRAME = np.random.default_rng(2).normal(size=(1, 1, 64, 96)).astype(np.float32)


def test_maps_turn_with_the_frame() -> None:
    averaged = engine()
    maps = averaged(FRAME)
    assert maps.shape[2:] == (64, 96)
    for turns in range(4):
        turned = averaged(np.ascontiguousarray(np.rot90(FRAME, turns, (2, 3))))
        assert np.rot90(turned, -turns, (2, 3)) == pytest.approx(maps, abs=1e-4)
    mirrored = averaged(np.ascontiguousarray(FRAME[..., ::-1]))
    assert mirrored[..., ::-1] == pytest.approx(maps, abs=1e-4)


def test_one_pass_alone_is_something_else() -> None:
    averaged = engine()
    once = averaged._engine(FRAME)
    assert np.abs(averaged(FRAME) - once).max() > 1e-4


def test_it_says_what_runs() -> None:
    averaged = engine()
    assert averaged.name.endswith("-eightfold")
    assert averaged.digest != averaged._engine.digest
    assert averaged.batch_size == 1
