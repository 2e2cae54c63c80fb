from pathlib import Path

import pytest
import torch

from monitor.engine.choice import ENGINES, ON_CPU, ON_GPU, REFERENCE, default_store, make_engine, preferred
from monitor.engine.store import EngineStore
from monitor.errors import EngineFailure
from monitor.network.segnet import SegmentationNetwork

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def network() -> SegmentationNetwork:
    torch.manual_seed(3)
    return SegmentationNetwork(0.125, 16)


def test_the_reference_comes_last() -> None:
    assert preferred()[-1] == REFERENCE == "eager"
    assert {*ON_CPU, *ON_GPU, REFERENCE} == set(ENGINES)


@no_gpu
def test_without_a_gpu_none_that_needs_one_is_tried() -> None:
    assert preferred() == (*ON_CPU, REFERENCE)


def test_an_unknown_engine_names_those_that_exist() -> None:
    with pytest.raises(ValueError, match="choose among eager, compiled"):
        make_engine("onnx", network(), "0" * 64)


@no_gpu
def test_tensorrt_without_a_gpu_says_so(tmp_path: Path) -> None:
    with pytest.raises(EngineFailure, match="needs an NVIDIA GPU") as caught:
        make_engine("tensorrt", network(), "0" * 64, store=EngineStore(tmp_path))
    assert caught.value.reason == "no_gpu"


@pytest.mark.parametrize("name", ["compiled", "openvino-int8"])
def test_what_takes_minutes_is_not_made_unasked(name: str, tmp_path: Path) -> None:
    if name.startswith("openvino"):
        pytest.importorskip("openvino", reason="openvino is not installed")
    with pytest.raises(EngineFailure, match=f"cellvigil engine build {name}") as caught:
        make_engine(name, network(), "0" * 64, store=EngineStore(tmp_path), build=False)
    assert caught.value.reason == "not_built"
    assert list(tmp_path.iterdir()) == []


def test_the_store_of_commands_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_store()._folder == tmp_path / "cellvigil" / "engines"
