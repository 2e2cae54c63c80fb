"""Weights are verified before they are opened, and refused with a reason."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from monitor.errors import ModelRefused
from monitor.network import checkpoint
from monitor.network.checkpoint import SHIPPED, load_network, read_card, save_network
from monitor.network.segnet import SegmentationNetwork

CARD: dict[str, Any] = {
    "name": "tiny",
    "width": 0.125,
    "decoder_channels": 16,
    "pixel_size_um": 0.87,
    "data": ["nothing"],
    "licence": "Apache-2.0",
    "scores": {},
    "intended_use": "tests",
    "must_not_be_used_for": "anything else",
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "tiny.json"
    save_network(SegmentationNetwork(0.125, 16).state_dict(), CARD, path)
    return path


def test_saved_weights_come_back_as_half_precision_of_themselves(saved: Path):
    torch.manual_seed(0)
    original = SegmentationNetwork(0.125, 16).state_dict()

    network, card = load_network(saved)

    assert not network.training
    assert card.name == "tiny"
    assert card.weights == "tiny.safetensors"
    restored = network.state_dict()
    assert restored.keys() == original.keys()
    for name, value in original.items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(restored[name], expected), name
        assert restored[name].dtype == value.dtype


def test_saving_what_was_loaded_changes_nothing(saved: Path, tmp_path: Path):
    network, card = load_network(saved)

    again = save_network(network.state_dict(), CARD, tmp_path / "again.json")

    assert again.sha256 == card.sha256


@pytest.mark.parametrize("where", [0, 9, 200, -1])
def test_changed_byte_is_refused_before_anything_is_parsed(saved: Path, where: int, monkeypatch: pytest.MonkeyPatch):
    def parse(content: bytes) -> dict[str, torch.Tensor]:
        pytest.fail("parsed before it was verified")

    monkeypatch.setattr(checkpoint, "load_tensors", parse)
    file = saved.with_suffix(".safetensors")
    content = bytearray(file.read_bytes())
    content[where] ^= 1
    file.write_bytes(content)

    with pytest.raises(ModelRefused) as caught:
        load_network(saved)

    assert caught.value.reason == "digest"
    assert not caught.value.retryable


def test_cut_file_is_refused(saved: Path):
    file = saved.with_suffix(".safetensors")
    file.write_bytes(file.read_bytes()[:-100])

    with pytest.raises(ModelRefused) as caught:
        load_network(saved)

    assert caught.value.reason == "digest"


@pytest.mark.parametrize("missing", ["tiny.json", "tiny.safetensors"])
def test_missing_file_is_told_with_its_path(saved: Path, missing: str):
    (saved.parent / missing).unlink()

    with pytest.raises(ModelRefused, match=missing) as caught:
        load_network(saved)

    assert caught.value.reason == "no_weights"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe\x00",
        json.dumps(CARD).encode(),
        json.dumps(CARD | {"weights": "tiny.safetensors", "sha256": "0" * 64, "colour": "red"}).encode(),
        json.dumps(CARD | {"weights": "tiny.safetensors", "sha256": "0" * 64, "pixel_size_um": 0.0}).encode(),
    ],
)
def test_what_is_no_card_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "tiny.json"
    path.write_bytes(content)

    with pytest.raises(ModelRefused) as caught:
        read_card(path)

    assert caught.value.reason == "bad_card"


@pytest.mark.parametrize("changed", [{"width": 0.25}, {"decoder_channels": 32}])
def test_card_of_another_network_is_refused(saved: Path, changed: dict[str, float]):
    saved.write_text(json.dumps(json.loads(saved.read_text()) | changed))

    with pytest.raises(ModelRefused) as caught:
        load_network(saved)

    assert caught.value.reason == "does_not_fit"


def test_weights_beyond_half_precision_are_not_saved(tmp_path: Path):
    state = SegmentationNetwork(0.125, 16).state_dict()
    name = next(name for name in state if name.endswith("running_var"))
    state[name] = state[name] * 1e6

    with pytest.raises(ModelRefused, match=name):
        save_network(state, CARD, tmp_path / "tiny.json")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not SHIPPED.is_file(), reason="no weights are shipped yet")
def test_shipped_weights_load_and_are_finite():
    network, card = load_network()

    assert card.intended_use
    assert card.must_not_be_used_for
    assert card.licence
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())
    with torch.inference_mode():
        assert torch.isfinite(network(torch.randn(1, 1, 64, 64))).all()


def test_weights_of_the_package_go_by_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network, card = load_network(Path("laboratories"))
    assert card.name != read_card().name
    assert network.encoder.channels == load_network()[0].encoder.channels
    # a folder of that name is no card; a file goes first, and what is neither is refused as before
    (tmp_path / "laboratories").mkdir()
    assert read_card(Path("laboratories")) == card
    (tmp_path / "laboratories").rmdir()
    (tmp_path / "laboratories").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelRefused, match="not a model card"):
        read_card(Path("laboratories"))
    with pytest.raises(ModelRefused, match="does not exist"):
        read_card(Path("nobodys"))


def test_shipped_weights_stay_small_and_say_whose_data_they_learnt_from() -> None:
    folder = SHIPPED.parent
    assert sum(file.stat().st_size for file in folder.iterdir()) < 32 * 1024**2
    notice = (folder / "NOTICE").read_text(encoding="utf-8")
    for card in folder.glob("*.json"):
        assert read_card(card).weights in notice
