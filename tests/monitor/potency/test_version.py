"""A version of a model: whole or not there, verified like any other, and the one before it untouched."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import ModelRefused
from monitor.potency import version
from monitor.potency.bundle import verify_bundle
from monitor.potency.calibration import Interval
from monitor.potency.model import DEMO, PotencyModel, load_model
from monitor.potency.version import SignOff, ancestors, write_version

SIGNED = SignOff(signed_by="A. Keller", at=datetime(2026, 4, 1, tzinfo=UTC), reason="new ELISA kit")
MOVED = {"potency": Interval(coverage=0.9, offset=3.0, shift=4.0, lowest=0.0, highest=150.0)}


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PotencyModel]:
    out = tmp_path_factory.mktemp("versions") / "second"
    return out, write_version(DEMO, out, MOVED, SIGNED, {"method": "as told"})


def test_the_card_says_who_signed_it_when_why_and_what_came_before(second: tuple[Path, PotencyModel]) -> None:
    out, model = second
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    assert card["version"] == 2
    assert card["recalibrations"] == [
        {
            "parent": verify_bundle(DEMO), "signed_by": "A. Keller", "at": "2026-04-01T00:00:00Z",
            "reason": "new ELISA kit", "method": "as told",
        }
    ]  # fmt: skip
    assert ancestors(model.card) == (verify_bundle(DEMO),)
    assert model.digest == verify_bundle(out) != verify_bundle(DEMO)


def test_trees_stay_and_answers_move(second: tuple[Path, PotencyModel]) -> None:
    out, model = second
    old = load_model(DEMO, rehearse=False)
    rows = np.array(json.loads((DEMO / "golden.json").read_text(encoding="utf-8"))["rows"])
    assert np.allclose(model.raw("potency", rows), old.raw("potency", rows))
    assert not np.allclose(model.answers(rows)["potency"], old.answers(rows)["potency"])
    assert (model.contract, model.spec) == (old.contract, old.spec)
    assert model.calibration_digest != old.calibration_digest
    for trees in ("potency.low.txt", "potency.middle.txt", "potency.high.txt", "model.json", "contract.json"):
        assert (out / trees).read_bytes() == (DEMO / trees).read_bytes()


@pytest.mark.parametrize("name", ["calibration.json", "card.json", "potency.middle.txt", "golden.json"])
def test_a_tampered_version_is_refused(tmp_path: Path, second: tuple[Path, PotencyModel], name: str) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in second[0].iterdir():
        content = bytearray(file.read_bytes())
        if file.name == name:
            content[len(content) // 2] ^= 1
        (copy / file.name).write_bytes(content)
    with pytest.raises(ModelRefused) as refused:
        load_model(copy)
    assert refused.value.reason == "digest"


def test_a_version_of_a_version_remembers_both(tmp_path: Path, second: tuple[Path, PotencyModel]) -> None:
    third = write_version(second[0], tmp_path / "third", MOVED, SIGNED, {})
    assert third.card["version"] == 3
    assert ancestors(third.card) == (verify_bundle(DEMO), second[1].digest)


def test_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(ModelRefused, match="choose a new folder"):
        write_version(DEMO, tmp_path / "there", MOVED, SIGNED, {})


def test_a_version_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_folder: Path) -> PotencyModel:
        raise ModelRefused("it failed its rehearsal", reason="rehearsal")

    monkeypatch.setattr(version, "load_model", failing)
    with pytest.raises(ModelRefused, match="rehearsal"):
        write_version(DEMO, tmp_path / "new", MOVED, SIGNED, {})
    assert list(tmp_path.iterdir()) == []
