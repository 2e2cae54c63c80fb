import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases.phantoms import matches, phantom

from monitor.engine.choice import make_engine
from monitor.engine.eager import EagerEngine
from monitor.engine.store import EngineStore
from monitor.frames.frame import Frame
from monitor.frames.normalize import normalize
from monitor.frames.resample import pad_to_multiple, resample
from monitor.network.checkpoint import SHIPPED, load_network
from monitor.network.segnet import SegmentationNetwork
from monitor.segmentation.segmenter import Segmentation, Segmenter

pytest.importorskip("openvino", reason="openvino is not installed: pip install 'cellvigil[openvino]'")
pytestmark = pytest.mark.skipif(not SHIPPED.is_file(), reason="no weights lie in monitor/network/weights")

from monitor.engine import openvino  # noqa: E402 (only where openvino is)
from monitor.engine.openvino import KEPT_SHAPES, OpenVinoEngine  # noqa: E402

SHA = "5" * 64


@functools.cache
def shared_engine() -> OpenVinoEngine:
    """One conversion takes seconds."""
    return OpenVinoEngine(load_network()[0], threads=1)


def ready(seed: int) -> np.ndarray:
    truth = phantom(seed, covered=0.4)
    scale = 0.87
    return pad_to_multiple(normalize(resample(Frame(truth.pixels, truth.pixel_size_um), scale), scale))


def test_maps_and_instances_are_those_of_eager() -> None:
    network, card = load_network()
    eager, engine = EagerEngine(network), shared_engine()
    batch = np.stack([ready(1), ready(2)])[:, None]
    one, other = eager(batch), engine(batch)
    assert one.shape == other.shape and other.dtype == np.float32
    assert np.abs(one - other).max() < 1e-3
    truth = phantom(3, covered=0.4)
    first, second = (
        Segmenter(kind, card).segment([Frame(truth.pixels, truth.pixel_size_um)])[0] for kind in (eager, engine)
    )
    assert isinstance(first, Segmentation) and isinstance(second, Segmentation)
    same, n_first, n_second = matches(first.cells, second.cells, 0.95)
    assert same == n_first == n_second > 10


def test_the_same_frame_gives_the_same_maps_and_sizes_do_not_mix() -> None:
    engine = shared_engine()
    small, wide = np.zeros((1, 1, 64, 64), np.float32), np.zeros((2, 1, 64, 96), np.float32)
    small[..., 20:40, 20:40] = 1.0
    first = engine(small)
    assert engine(wide).shape == (2, first.shape[1], 64, 96)
    assert (engine(small) == first).all()


def test_few_sizes_are_kept() -> None:
    engine = shared_engine()
    for columns in range(64, 64 + 32 * (KEPT_SHAPES + 2), 32):
        engine(np.zeros((1, 1, 64, columns), np.float32))
    assert len(engine._compiled) == KEPT_SHAPES


def test_the_converted_network_is_kept_and_gives_the_same_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, store = ready(1)[None, None], EngineStore(tmp_path / "engines")
    expected = shared_engine()(frame)
    monkeypatch.setattr(openvino, "_converted", already_converted)
    first = make_engine("openvino", load_network()[0], SHA, threads=1, store=store)
    assert (first(frame) == expected).all() and first.digest == shared_engine().digest

    monkeypatch.setattr(openvino, "_converted", never)
    kept = make_engine("openvino", load_network()[0], SHA, threads=1, store=store, build=False)
    assert (kept(frame) == expected).all() and kept.digest == first.digest
    with pytest.raises(AssertionError, match="converted again"):
        make_engine("openvino", load_network()[0], "6" * 64, threads=1, store=store)
    monkeypatch.setattr(openvino, "_code_digest", lambda: "other source")
    with pytest.raises(AssertionError, match="converted again"):
        make_engine("openvino", load_network()[0], SHA, threads=1, store=store)


def already_converted(network: SegmentationNetwork, precision: str) -> object:
    return shared_engine()._model


def never(*_: object) -> None:
    raise AssertionError("converted again")


def test_a_damaged_network_is_converted_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EngineStore(tmp_path)
    monkeypatch.setattr(openvino, "_converted", already_converted)
    make_engine("openvino", load_network()[0], SHA, threads=1, store=store)
    (file,) = tmp_path.glob("*/network.bin")
    whole = file.read_bytes()
    file.write_bytes(whole[:-8])

    engine = make_engine("openvino", load_network()[0], SHA, threads=1, store=store)

    assert file.read_bytes() == whole
    assert engine(np.zeros((1, 1, 64, 64), np.float32)).shape[-2:] == (64, 64)


def test_where_nothing_can_be_kept_the_engine_serves_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "_converted", already_converted)
    place = tmp_path / "engines"
    place.write_text("a file in the place of the folder")

    engine = make_engine("openvino", load_network()[0], SHA, threads=1, store=EngineStore(place))

    assert engine(np.zeros((1, 1, 64, 64), np.float32)).shape[-2:] == (64, 64)


def test_nothing_is_reported_to_anybody() -> None:
    """In a process of its own, any attempt to speak to the network ends it."""
    program = """
import socket
def refuse(*words, **more):
    raise SystemExit("a connection was tried")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import numpy, sys
from monitor.engine.openvino import OpenVinoEngine
from monitor.network.checkpoint import load_network
OpenVinoEngine(load_network()[0], threads=1)(numpy.zeros((1, 1, 64, 64), numpy.float32))
"""
    program += "assert sys.modules['openvino_telemetry'] is None"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
