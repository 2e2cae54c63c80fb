"""Built engines: kept whole or not at all, and refused when they are not what was asked for."""

import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from monitor.engine.store import MANIFEST, BuiltFor, EngineStore, Verdict
from monitor.errors import EngineFailure
from monitor.messages import EngineParity

HERE = {"processor": "one", "vector": "avx2"}


def built_for(weights: str = "w1", machine: dict[str, str] = HERE) -> BuiltFor:
    return BuiltFor(engine="glass", weights_sha256=weights, machine=machine, versions={"torch": "2.13"})


def write(folder: Path) -> None:
    (folder / "engine.bin").write_bytes(b"machine code")


def test_an_engine_is_found_again_and_only_for_what_it_was_built_for(tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "engines")
    assert store.find(built_for()) is None
    folder = store.build(built_for(), write)
    assert (folder / "engine.bin").read_bytes() == b"machine code"
    assert EngineStore(tmp_path / "engines").find(built_for()) == folder
    assert store.find(built_for(weights="w2")) is None
    assert store.find(built_for(machine={**HERE, "driver": "2"})) is None


@pytest.mark.parametrize("harm", ["changed", "missing", "manifest", "not json", "points outside"])
def test_a_damaged_engine_is_refused_by_name(tmp_path: Path, harm: str) -> None:
    store = EngineStore(tmp_path)
    folder = store.build(built_for(), write)
    manifest = folder / MANIFEST
    if harm == "changed":
        (folder / "engine.bin").write_bytes(b"machine c0de")
    elif harm == "missing":
        (folder / "engine.bin").unlink()
    elif harm == "manifest":
        manifest.unlink()
    elif harm == "not json":
        manifest.write_bytes(b"\xff{")
    else:
        (tmp_path / "outside").write_bytes(b"")
        content = json.loads(manifest.read_text())
        content["files"] = {"../outside": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
        manifest.write_text(json.dumps(content))
    with pytest.raises(EngineFailure, match=f"{folder.name} is damaged; remove the folder") as caught:
        store.find(built_for())
    assert caught.value.reason == "damaged"


def test_an_engine_from_another_machine_is_foreign(tmp_path: Path) -> None:
    elsewhere = EngineStore(tmp_path / "elsewhere").build(built_for(machine={"processor": "other"}), write)
    store = EngineStore(tmp_path / "here")
    target = tmp_path / "here" / built_for().digest[:20]
    shutil.copytree(elsewhere, target)
    with pytest.raises(EngineFailure, match="foreign") as caught:
        store.find(built_for())
    assert caught.value.reason == "foreign"
    assert [entry.state for entry in store.entries(HERE)] == ["foreign"]
    shutil.rmtree(target)
    shutil.copytree(elsewhere, tmp_path / "here" / elsewhere.name)
    assert [entry.state for entry in store.entries(HERE)] == ["foreign"]


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise EngineFailure("no compiler", reason="compiler")

    store = EngineStore(tmp_path)
    with pytest.raises(EngineFailure, match="no compiler"):
        store.build(built_for(), fail)
    assert list(tmp_path.iterdir()) == []
    assert store.find(built_for()) is None


def test_what_a_killed_build_left_is_removed_by_a_later_one(tmp_path: Path) -> None:
    killed, running = tmp_path / ".building-killed", tmp_path / ".building-running"
    for folder in (killed, running):
        (folder / "engine").mkdir(parents=True)
        (folder / "engine/engine.bin").write_bytes(b"half of it")
    two_days_ago = time.time() - 2.0 * 86400.0
    os.utime(killed, (two_days_ago, two_days_ago))
    folder = EngineStore(tmp_path).build(built_for(), write)
    assert sorted(tmp_path.iterdir()) == sorted([running, folder])


def test_two_that_build_at_once_both_end_with_a_whole_engine(tmp_path: Path) -> None:
    store, together = EngineStore(tmp_path), threading.Barrier(2)
    found: list[Path] = []

    def slow(folder: Path) -> None:
        write(folder)
        together.wait(10)

    threads = [threading.Thread(target=lambda: found.append(store.build(built_for(), slow))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and found[0] == found[1] == store.find(built_for())


def test_a_comparison_is_remembered_and_a_broken_one_is_none(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    parity = EngineParity(frames=6, f1=1.0, count_error=0.0, feature_error=0.0, worst_feature="none", passes=True)
    verdict = Verdict(engine_digest="d", parity=parity)
    assert store.verdict("k" * 64) is None
    store.keep_verdict("k" * 64, verdict)
    assert store.verdict("k" * 64) == verdict
    next((tmp_path / "parity").iterdir()).write_text("{")
    assert store.verdict("k" * 64) is None
    assert list(store.entries(HERE)) == []
