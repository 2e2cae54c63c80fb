"""Workers are put together as the settings say."""

import errno
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from cases.bad_files import good_bytes
from cases.ingest_run import name_of, place

from monitor.errors import SettingsError
from monitor.frames.identity import frame_id_of
from monitor.messages import FrameArrived
from monitor.potency.bundle import write_manifest
from monitor.potency.model import DEMO
from services.chain import assembly as workers
from services.chain.assembly import features_needed, ring_to_fill
from services.settings import HandoverSettings, Settings, WatchSettings, load_settings
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.transport import ring_file
from services.transport.codec import decode
from services.transport.memory import MemoryBus, MemoryQueue
from services.transport.ring_file import MIB, RingShape, open_ring, ring_path
from services.transport.shared_memory import RingWriter
from services.transport.slot_lock import AVAILABLE
from services.transport.streams import FRAMES
from services.workers import frame_files

pytestmark = [
    pytest.mark.skipif(not AVAILABLE, reason="the ring is refused on this system"),
    pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning"),  # of watchdog, in its own thread
]


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for rings that is this test's own."""
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(ring_file, "MEMORY", memory)
    return memory


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    state = StateFolder(tmp_path / "state")
    state.create()
    return state


def settings(state: StateFolder, ring_mb: int) -> Settings:
    watched = state.root.parent / "watched"
    watched.mkdir(exist_ok=True)
    return Settings(
        state=state.root,
        watch=WatchSettings(folder=watched, settle_s=0.1),
        handover=HandoverSettings(ring_mb=ring_mb, slot_mb=1),
    )


def test_ingester_has_a_ring_only_where_the_settings_say_so(state, memory):
    with ring_to_fill(settings(state, 0), state) as ring:
        assert ring is None and list(memory.iterdir()) == []
    with ring_to_fill(settings(state, 3), state) as ring:
        assert ring is not None and open_ring(ring_path(state.root)).shape == RingShape(3, MIB)
    assert list(memory.iterdir()) == []


def test_ingester_without_room_for_a_ring_says_so_once_and_goes_on(state, memory, monkeypatch, caplog, capsys):
    def full(*arguments: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    with ring_to_fill(settings(state, 3), state) as ring:
        assert ring is None

    told = capsys.readouterr().out + caplog.text
    assert told.count("no_ring") == 1
    assert "handover.ring_mb" in told and "--shm-size" in told and "No space left" in told
    assert list(memory.iterdir()) == []


@pytest.mark.parametrize("ring_mb", [0, 2])
def test_segmenter_takes_from_the_ring_what_the_ingester_decoded(state, memory, monkeypatch, ring_mb):
    chosen, queue = settings(state, ring_mb), MemoryQueue()
    place(chosen.watch.folder / name_of("A", 0), good_bytes())
    with SqliteRecord(state.record) as record:
        runner: Any = workers._segmenter(chosen, state, MemoryBus(queue), record, 0)
    frames, close, decoded = runner._stage._frames, RingWriter.close, []

    def read_then_close(ring: RingWriter) -> None:
        (arrived,) = arrivals(queue)
        handed.append(frames.read(arrived))
        close(ring)

    def noted(*arguments: object, **named: object) -> Any:
        decoded.append(arguments)
        return read(*arguments, **named)

    handed, read = [], frame_files.read_frame
    monkeypatch.setattr(frame_files, "read_frame", noted)
    monkeypatch.setattr(RingWriter, "close", read_then_close)

    code = workers._run_ingester(chosen, state, MemoryBus(queue), threading.Event(), 0.3, until_settled=False)

    assert code == 0 and list(memory.iterdir()) == []
    assert (len(handed), decoded) == ((1, []) if ring_mb else (0, []))
    (arrived,) = arrivals(queue)
    assert arrived.frame_id == frame_id_of(chosen.watch.folder / arrived.source)
    assert all((frame.pixels == frames.read(arrived).pixels).all() for frame in handed)


def arrivals(queue: MemoryQueue) -> list[FrameArrived]:
    found = [decode(payload) for payload in MemoryBus(queue).history(FRAMES.name)]
    return [message for message in found if isinstance(message, FrameArrived)]


def test_ring_without_room_for_one_frame_is_refused_with_both_numbers():
    with pytest.raises(SettingsError, match=r"handover.*ring_mb 8 is less than slot_mb 16"):
        load_settings(None, {"handover": {"ring_mb": 8}})


def test_the_segmenter_is_told_which_features_the_potency_model_needs(tmp_path: Path) -> None:
    demo = json.loads((DEMO / "contract.json").read_text(encoding="utf-8"))
    assert features_needed(None) == tuple(demo["features"])
    assert features_needed(tmp_path / "gone") == ()
    copy = Path(shutil.copytree(DEMO, tmp_path / "copy"))
    (copy / "contract.json").write_text("{}", encoding="utf-8")
    assert features_needed(copy) == ()
    foreign = {**demo, "features": [*demo["features"], "doubling_hours"], "foreign": ["doubling_hours"]}
    (copy / "contract.json").write_text(json.dumps(foreign), encoding="utf-8")
    write_manifest(copy)
    assert features_needed(copy) == tuple(demo["features"])
