"""Workers are put together as the settings say."""

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from cases.bad_files import good_bytes
from cases.ingest_run import name_of, place

from monitor.frames.identity import frame_id_of
from monitor.messages import FrameArrived
from monitor.potency.bundle import write_manifest
from monitor.potency.model import DEMO
from services.chain import assembly as workers
from services.chain.assembly import features_needed
from services.settings import Settings, WatchSettings
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.transport.codec import decode
from services.transport.memory import MemoryBus, MemoryQueue
from services.transport.streams import FRAMES

# of watchdog, in its own thread
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    state = StateFolder(tmp_path / "state")
    state.create()
    return state


def test_the_ingester_queues_what_the_segmenter_reads(state):
    watched = state.root.parent / "watched"
    watched.mkdir()
    chosen = Settings(state=state.root, watch=WatchSettings(folder=watched, settle_s=0.1))
    queue = MemoryQueue()
    place(watched / name_of("A", 0), good_bytes())
    with SqliteRecord(state.record) as record:
        runner: Any = workers._segmenter(chosen, state, MemoryBus(queue), record, 0)

    code = workers._run_ingester(chosen, state, MemoryBus(queue), threading.Event(), 0.3, until_settled=False)

    assert code == 0
    (arrived,) = arrivals(queue)
    assert arrived.frame_id == frame_id_of(watched / arrived.source)
    assert runner._stage._frames.read(arrived).shape == arrived.shape_px


def arrivals(queue: MemoryQueue) -> list[FrameArrived]:
    found = [decode(payload) for payload in MemoryBus(queue).history(FRAMES.name)]
    return [message for message in found if isinstance(message, FrameArrived)]


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
