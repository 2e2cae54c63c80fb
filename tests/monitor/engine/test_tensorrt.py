"""What can be proved of the TensorRT engine without its libraries; the rest runs where they are.

`cases/torch_tensorrt.json` holds the options, arguments and converters that the sources of each supported release
of torch-tensorrt declare.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import monitor.engine.tensorrt as module
from monitor.engine.eager import EagerEngine
from monitor.engine.store import EngineStore
from monitor.errors import EngineFailure
from monitor.network.segnet import SegmentationNetwork

DECLARED = json.loads((Path(__file__).parents[2] / "cases" / "torch_tensorrt.json").read_text())
RELEASES = sorted(DECLARED)


def network() -> SegmentationNetwork:
    torch.manual_seed(3)
    return SegmentationNetwork(0.125, 16).eval()


@pytest.fixture(scope="module")
def operators() -> set[str]:
    program = module.exported_program(network(), "cpu", torch.float32)
    return {_apart(str(node.target)) for node in program.graph.nodes if node.op == "call_function"}


def _apart(operator: str) -> str:
    """Composite operators are taken apart before converters are looked for; of ours only this one has none itself."""
    return {"aten.conv2d.default": "aten.convolution.default"}.get(operator, operator)


@pytest.mark.parametrize("release", RELEASES)
def test_every_option_exists(release: str) -> None:
    assert set(module.OPTIONS) <= set(DECLARED[release]["options"])
    assert {*module.OPTIONS, "arg_inputs"} <= set(DECLARED[release]["arguments"])


@pytest.mark.filterwarnings("ignore")  # of torch about its own older calls
@pytest.mark.parametrize("release", RELEASES)
def test_every_operator_has_a_converter(release: str, operators: set[str]) -> None:
    assert "aten.convolution.default" in operators and len(operators) >= 6
    assert operators <= set(DECLARED[release]["converters"])


@pytest.mark.filterwarnings("ignore")
def test_batch_and_frame_size_stay_free_within_the_profile() -> None:
    program = module.exported_program(network(), "cpu", torch.float32)
    ranges = {(int(span.lower), int(span.upper)) for span in program.range_constraints.values()}
    assert (module.LEAST[0], module.MOST[0]) in ranges
    for shape in (module.LEAST, (3, 1, 96, 160)):
        maps = program.module()(torch.zeros(shape))
        assert maps.shape == (shape[0], 5, *shape[2:])
    with pytest.raises((AssertionError, RuntimeError)):
        program.module()(torch.zeros(17, 1, 64, 64))


def test_another_driver_gpu_version_or_network_is_another_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def digest(weights: str = "a", version: str = "10.9", **machine: str) -> str:
        monkeypatch.setattr(module, "fingerprint", lambda: {"gpu": "A", "driver": "1"} | machine)
        return module.built_for_here(weights * 64, version).digest

    different = [digest(), digest("b"), digest(version="11.0"), digest(gpu="B"), digest(driver="2")]
    assert len(set(different)) == 5 and digest() == different[0]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    with pytest.raises(EngineFailure, match="cellvigil doctor") as caught:
        module.TensorRtEngine(network(), "0" * 64, store=EngineStore(tmp_path))
    assert caught.value.reason == "not_installed"


@pytest.mark.gpu
@pytest.mark.slow
def test_maps_are_those_of_eager(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    for library in ("tensorrt", "torch_tensorrt"):
        pytest.importorskip(library, reason=f"{library} and its libraries are not installed", exc_type=ImportError)
    store = EngineStore(tmp_path)
    engine = module.TensorRtEngine(network(), "0" * 64, store=store)
    for count in (1, 3, 8):
        frames = np.random.default_rng(count).normal(size=(count, 1, 128, 160)).astype(np.float32)
        expected = EagerEngine(network(), device="cpu")(frames)
        assert np.abs(engine(frames) - expected).max() < 0.05
    kept = module.TensorRtEngine(network(), "0" * 64, store=store, build=False)
    assert kept.digest == engine.digest
