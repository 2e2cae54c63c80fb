"""A model folder: verified before it is read, tried in a child, and silent where it knows nothing."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.culture_rows import quality
from cases.potency_table import FEATURES, potency_of, train

from monitor.errors import ModelRefused
from monitor.messages import EstimateState, FrameEstimate
from monitor.potency import model as room
from monitor.potency.bundle import MANIFEST, verify_bundle
from monitor.potency.model import DEMO, PotencyModel, check_golden_rows, load_model

USUAL = {"area_median": 2500.0, "nucleus_cytoplasm_ratio_median": 0.12, "confluency": 0.4}
FILES = (
    "MANIFEST.json", "calibration.json", "card.json", "contract.json", "golden.json", "model.json",
    "potency.high.txt", "potency.low.txt", "potency.middle.txt",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(folder)
    return folder


@pytest.fixture
def bundle(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(trained, tmp_path / "model")


@pytest.fixture(scope="module")
def model(trained: Path) -> PotencyModel:
    return load_model(trained, rehearse=False)


def estimate(
    model: PotencyModel, changed: Mapping[str, float] = {}, *, reason: str | None = None, n_cells: int = 50
) -> FrameEstimate:
    return model.estimate(USUAL | dict(changed), quality(reason), n_cells, min_cells=8)


def signed(folder: Path, name: str, content: str) -> None:
    """Replace a file and write its new digest into the manifest, as somebody would who knows how."""
    (folder / name).write_text(content)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest[name] = hashlib.sha256(content.encode()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def refusal(folder: Path, **how: Any) -> str:
    with pytest.raises(ModelRefused) as refused:
        load_model(folder, **how)
    assert str(folder) in str(refused.value) or refused.value.reason == "contract"
    assert not refused.value.retryable
    return refused.value.reason


def test_a_model_comes_back_and_is_tried_on_its_golden_rows(trained: Path, model: PotencyModel) -> None:
    rehearsed = load_model(trained)
    assert check_golden_rows(trained)
    assert rehearsed.digest == model.digest == verify_bundle(trained)
    assert rehearsed.calibration_digest == model.calibration_digest
    assert rehearsed.contract.features == FEATURES
    assert rehearsed.card["name"] == "tiny"
    assert estimate(rehearsed) == estimate(model)


def test_an_estimate_is_near_the_truth_within_its_interval(model: PotencyModel) -> None:
    for area, ratio in ((1800.0, 0.18), (2500.0, 0.12), (4000.0, 0.08)):
        found = estimate(model, {"area_median": area, "nucleus_cytoplasm_ratio_median": ratio})
        truth = potency_of(area, ratio)
        assert found.state is EstimateState.OK
        assert found.reason is None
        assert found.potency is not None and found.low is not None and found.high is not None
        assert found.low < found.potency < found.high
        assert found.potency == pytest.approx(truth, abs=12.0)
        assert found.low - 5.0 < truth < found.high + 5.0


def test_the_same_features_give_the_same_estimate(model: PotencyModel) -> None:
    assert estimate(model) == estimate(model)
    assert estimate(model, {"area_median": 4000.0}) != estimate(model)


def test_other_features_do_not_matter(model: PotencyModel) -> None:
    assert estimate(model, {"solidity_median": 0.5}) == estimate(model)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"area_median": 40000.0}, "outside_training_range"),
        ({"area_median": 0.0}, "outside_training_range"),
        ({"nucleus_cytoplasm_ratio_median": 0.9}, "outside_training_range"),
    ],
)
def test_it_abstains_where_it_was_never_trained(model: PotencyModel, changed: dict[str, float], reason: str) -> None:
    found = estimate(model, changed)
    assert (found.state, found.reason) == (EstimateState.NOT_ASSESSABLE, reason)
    assert (found.potency, found.low, found.high) == (None, None, None)


@pytest.mark.parametrize("reason", ["saturated", "not_understood", "empty", "out_of_focus"])
def test_it_abstains_on_a_bad_frame_for_the_frames_own_reason(model: PotencyModel, reason: str) -> None:
    found = estimate(model, reason=reason)
    assert (found.state, found.reason, found.potency) == (EstimateState.NOT_ASSESSABLE, reason, None)


@pytest.mark.parametrize(("n_cells", "state"), [(7, EstimateState.NOT_ASSESSABLE), (8, EstimateState.OK)])
def test_it_abstains_on_too_few_cells(model: PotencyModel, n_cells: int, state: EstimateState) -> None:
    found = estimate(model, n_cells=n_cells)
    assert found.state is state
    assert found.reason == (None if state is EstimateState.OK else "too_few_cells")


@pytest.mark.parametrize("name", FEATURES)
def test_it_abstains_where_a_feature_could_not_be_measured(model: PotencyModel, name: str) -> None:
    features = {key: value for key, value in USUAL.items() if key != name}
    found = model.estimate(features, quality(), 50, min_cells=8)
    assert (found.state, found.reason, found.potency) == (EstimateState.NOT_ASSESSABLE, "missing_features", None)


def test_intervals_are_sorted_and_within_what_potency_can_be(model: PotencyModel) -> None:
    random = np.random.default_rng(0)
    rows = random.uniform([-1e5, -5.0, -1.0], [1e5, 5.0, 2.0], (500, 3))
    found = model.answers(rows)["potency"]
    assert found.shape == (500, 3)
    assert (np.diff(found, axis=1) >= 0.0).all()
    assert found.min() >= 0.0


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_refused_before_anything_is_parsed(
    bundle: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_rehearse", lambda folder: pytest.fail("it was tried before it was verified"))
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    assert refusal(bundle) == "digest"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_what_is_no_manifest_is_refused(bundle: Path, content: bytes) -> None:
    (bundle / MANIFEST).write_bytes(content)
    assert refusal(bundle) == "digest"


@pytest.mark.parametrize("name", FILES[1:])
def test_a_missing_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    assert refusal(bundle) == "digest"


def test_a_file_too_many_is_refused(bundle: Path) -> None:
    (bundle / "extra.txt").write_text("what is this?")
    assert refusal(bundle) == "digest"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "no_model"
    assert refusal(tmp_path / "nowhere") == "no_model"


@pytest.mark.parametrize(("name", "content"), [("card.json", "["), ("model.json", '{"format": 3, "biomarkers": []}')])
def test_a_model_of_another_form_is_refused_with_its_mend(bundle: Path, name: str, content: str) -> None:
    signed(bundle, name, content)
    with pytest.raises(ModelRefused, match="run the version that wrote it, or train it again"):
        load_model(bundle)


def test_a_model_of_other_features_is_refused_before_its_trees_are_read(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_rehearse", lambda folder: pytest.fail("it was tried with other features"))
    signed(bundle, "contract.json", json.dumps({"features": FEATURES, "catalogue": "of another version"}))
    assert refusal(bundle) == "contract"


def test_a_model_that_answers_otherwise_than_it_did_is_refused(bundle: Path) -> None:
    golden = json.loads((bundle / "golden.json").read_text())
    golden["answers"]["potency"][0][1] += 0.001
    signed(bundle, "golden.json", json.dumps(golden))
    assert not check_golden_rows(bundle)
    assert refusal(bundle) == "rehearsal"


def test_trees_that_cannot_be_read_end_a_child_and_not_this_process(bundle: Path) -> None:
    text = (bundle / "potency.middle.txt").read_text()
    signed(bundle, "potency.middle.txt", text[: len(text) // 3])
    assert refusal(bundle) == "rehearsal"


def test_a_model_that_hangs_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "REHEARSAL_S", 0.01)
    assert refusal(bundle) == "rehearsal"


@pytest.mark.skipif(not (DEMO / MANIFEST).is_file(), reason="no demonstration model lies in monitor/potency/demo_model")
def test_the_model_that_comes_with_the_package_is_whole_and_says_what_it_is_not_for() -> None:
    demo = load_model(rehearse=False)
    assert check_golden_rows(DEMO)
    assert "simulated" in demo.card["data"]
    assert "real cells" in demo.card["must_not_be_used_for"]
