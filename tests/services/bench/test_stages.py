"""Every stage of a frame is timed under its name, and the network's share is its part of the sum."""

import io

import pytest
from rich.console import Console

from monitor.engine.eager import EagerEngine
from monitor.engine.tiled import TiledEngine
from monitor.network.checkpoint import load_network
from monitor.segmentation.segmenter import Segmenter
from services.bench import stages
from services.bench.candidates import Candidate
from services.bench.frames import FrameSource
from services.bench.plan import BenchPlan
from services.bench.progress import Teller
from services.bench.spread import Spread
from services.bench.stages import share_of_network, time_stages

AROUND = {"judge file", "read", "write masks", "measure and estimate", "fold and record"}


@pytest.fixture(scope="module")
def source() -> FrameSource:
    return FrameSource(160, 0.87)


def eager(*, on_device: bool) -> Candidate:
    network, card = load_network()
    engine = EagerEngine(network, device="cpu")
    return Candidate("eager", engine, Segmenter(TiledEngine(engine), card, on_device=on_device), 0.0)


@pytest.mark.parametrize(
    ("on_device", "within"),
    [
        (False, {"resample", "normalise", "network", "decode", "quality", "to the frame's grid"}),
        (True, {"network", "the rest on the GPU"}),
    ],
)
def test_stages_are_named_and_repeated(source, monkeypatch, *, on_device: bool, within: set[str]):
    monkeypatch.setattr(stages, "serves_on_device", lambda name: on_device)

    found = time_stages(eager(on_device=on_device), BenchPlan(rounds=2), source, Teller(Console(file=io.StringIO())))

    assert set(found) == AROUND | within
    assert {spread.repeats for spread in found.values()} == {2}
    assert 0.0 < share_of_network(found) < 1.0


def test_share_of_the_network_is_its_part_of_the_medians():
    found = {"read": Spread(1.0, 1.0, 1.0, 1), "network": Spread(3.0, 2.0, 9.0, 1)}

    assert share_of_network(found) == 0.75
