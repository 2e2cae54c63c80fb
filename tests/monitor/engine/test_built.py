"""Engines that are built once and kept: really built, with a small network."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.engine.choice import make_engine
from monitor.engine.eager import EagerEngine
from monitor.engine.store import MANIFEST, EngineStore
from monitor.errors import EngineFailure
from monitor.network.segnet import SegmentationNetwork

pytestmark = pytest.mark.slow

SHA = "5" * 64


def network() -> SegmentationNetwork:
    torch.manual_seed(3)
    return SegmentationNetwork(0.125, 16).eval()


FRAMES = np.random.default_rng(1).normal(size=(2, 1, 128, 160)).astype(np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EngineStore:
    return EngineStore(tmp_path_factory.mktemp("engines"))


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of torch about its own older calls
def test_compiled_gives_the_maps_of_eager_from_a_kept_package(store: EngineStore) -> None:
    engine = make_engine("compiled", network(), SHA, store=store)
    expected = EagerEngine(network(), device=engine.name.split("-")[1])(FRAMES)
    tolerance = 1e-4 if engine.name.endswith("fp32") else 0.05
    assert np.abs(engine(FRAMES) - expected).max() < tolerance
    assert engine(FRAMES[:, :, :64, :96]).shape == (2, expected.shape[1], 64, 96)

    kept = make_engine("compiled", network(), SHA, store=store, build=False)
    assert kept.digest == engine.digest
    assert np.array_equal(kept(FRAMES), engine(FRAMES))

    (manifest,) = Path(store._folder).glob(f"*/{MANIFEST}")
    package = next(path for path in manifest.parent.iterdir() if path.name != MANIFEST)
    package.write_bytes(package.read_bytes() + b" ")
    with pytest.raises(EngineFailure, match="remove the folder") as caught:
        make_engine("compiled", network(), SHA, store=store)
    assert caught.value.reason == "damaged"


def test_eight_bits_stay_near_the_maps_of_eager(tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="nncf is not installed: pip install 'cellvigil[openvino]'")
    store = EngineStore(tmp_path)
    engine = make_engine("openvino-int8", network(), SHA, threads=1, store=store)
    maps, expected = engine(FRAMES), EagerEngine(network(), device="cpu")(FRAMES)
    assert 1e-6 < np.abs(maps - expected).mean() < 0.1 * expected.std()
    kept = make_engine("openvino-int8", network(), SHA, threads=1, store=store, build=False)
    assert kept.name == "openvino-cpu-int8" and kept.digest == engine.digest
    assert np.array_equal(kept(FRAMES), maps)
