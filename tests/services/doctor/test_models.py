from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.network.checkpoint import save_network
from monitor.network.segnet import SegmentationNetwork
from monitor.potency.model import DEMO
from monitor.potency.version import SignOff, write_version
from services.doctor.check import Check, Level
from services.doctor.models import check_models
from services.settings import PredictorSettings, SegmenterSettings, Settings


def models(weights: Path, model: Path) -> dict[str, Check]:
    settings = Settings(segmenter=SegmenterSettings(weights=weights), predictor=PredictorSettings(model=model))
    return {check.name: check for check in check_models(settings)}


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Write the weights of a small untrained network and their card."""
    path = tmp_path / "small.json"
    words = ("name", "licence", "intended_use", "must_not_be_used_for")
    numbers = {"width": 0.25, "decoder_channels": 16, "pixel_size_um": 1.0, "data": [], "scores": {}}
    save_network(SegmentationNetwork(0.25, 16).state_dict(), {**dict.fromkeys(words, "test"), **numbers}, path)
    return path


def test_missing_models_are_problems_with_their_path_and_setting(tmp_path: Path):
    found = models(tmp_path / "gone.json", tmp_path / "gone")

    for name, path, setting in (
        ("segmenter weights", "gone.json", "segmenter.weights"),
        ("potency model", "gone", "predictor.model"),
    ):
        assert found[name].level is Level.PROBLEM
        assert str(tmp_path / path) in found[name].what
        assert found[name].mend == f"correct the setting {setting}"


def test_weights_that_load_are_named(card: Path, tmp_path: Path):
    weights = models(card, tmp_path)["segmenter weights"]

    assert weights.level is Level.OK
    assert weights.what.startswith("test, 1 um per pixel, sha256 ")


def test_weights_that_were_altered_are_a_problem(card: Path, tmp_path: Path):
    file = card.with_suffix(".safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)

    weights = models(card, tmp_path)["segmenter weights"]

    assert weights.level is Level.PROBLEM
    assert "are not those" in weights.what


@pytest.mark.slow
def test_a_recalibrated_model_says_which_version_it_is(card: Path, tmp_path: Path):
    signed = SignOff(signed_by="A", at=datetime(2026, 4, 1, tzinfo=UTC), reason="kit")
    new = write_version(DEMO, tmp_path / "second", {}, signed, {})

    potency = models(card, tmp_path / "second")["potency model"]

    assert potency.level is Level.OK
    assert potency.what == f"second, version 2, {len(new.contract.features)} features, digest {new.digest[:12]}"
