"""The reference engine keeps the contract of engines."""

import numpy as np
import pytest
import torch

from monitor.engine.eager import EagerEngine
from monitor.errors import EngineFailure
from monitor.network.segnet import Map, SegmentationNetwork


def network() -> SegmentationNetwork:
    torch.manual_seed(3)
    return SegmentationNetwork(0.125, 16)


def engine() -> EagerEngine:
    return EagerEngine(network(), device="cpu")


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 1, 64, 96)).astype(np.float32)


def test_maps_are_float32_of_the_frames_size():
    chosen = engine()
    chosen.warm_up()

    maps = chosen(frames(3))

    assert maps.shape == (3, len(Map), 64, 96)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()


def test_maps_are_those_of_the_network():
    batch = frames(2)
    with torch.inference_mode():
        truth = network().eval()(torch.from_numpy(batch)).numpy()

    assert np.abs(engine()(batch) - truth).max() < 1e-4


def test_frame_never_depends_on_its_neighbours():
    chosen, batch = engine(), frames(4)

    together = chosen(batch)

    assert (together[::-1] == chosen(batch[::-1].copy())).all()
    assert (together[2:3] == chosen(batch[2:3])).all()


def test_name_and_digest_say_what_runs():
    assert engine().name == "eager-cpu-fp32"
    assert engine().digest == engine().digest
    assert len(engine().digest) == 64
    assert engine().batch_size == 1


def test_network_runs_in_evaluation_mode():
    learning = network().train()

    EagerEngine(learning, device="cpu")

    assert not learning.training


def test_device_out_of_memory_is_a_failure_that_may_pass(monkeypatch: pytest.MonkeyPatch):
    chosen = engine()

    def forward(self: SegmentationNetwork, x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(SegmentationNetwork, "forward", forward)

    with pytest.raises(EngineFailure) as caught:
        chosen(frames(1))

    assert caught.value.reason == "out_of_memory"
    assert caught.value.retryable
