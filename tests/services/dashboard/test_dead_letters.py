"""Dead letters: listed and put into the queue again, by the page, on a real queue server."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browser_site import Site, end, serve
from cases.sample_messages import SEGMENTED, arrived, digest
from live_server import LiveServer

from monitor.errors import SettingsError
from monitor.messages import FrameFailed, Message, Parked
from services.state_folder import StateFolder
from services.store.dead_letters import dead_letters, find_dead_letter, requeue
from services.store.ledger import Ledger
from services.store.ledger_row import LedgerRow
from services.store.record_sqlite import SqliteRecord
from services.transport.codec import decode
from services.transport.memory import MemoryBus
from services.transport.redis_streams import RedisBus
from services.transport.stage import Publication
from services.transport.streams import DEAD, FLASK_EVENTS, FRAMES

PARTITIONS = 4


def failed(stage: str, number: int = 0) -> FrameFailed:
    return FrameFailed(frame_id=arrived(number).frame_id, stage=stage, reason="stage_error", detail="it broke")


def kill(bus: object, message: Message, key: str = "dead:1") -> None:
    bus.publish([Publication(DEAD, key, message)])  # type: ignore[attr-defined]


def test_a_frame_that_was_not_segmented_begins_again():
    bus = MemoryBus()
    kill(bus, failed("segmenter"))
    (dead,) = dead_letters(bus, "", 10)

    stream = requeue(bus, dead, arrived(), None, PARTITIONS)

    assert stream == FRAMES.name
    assert [decode(payload) for payload in bus.history(FRAMES.name)] == [arrived()]
    assert list(bus.history(DEAD)) == []
    assert requeue(bus, dead, arrived(), None, PARTITIONS) is None


def test_a_frame_that_was_segmented_goes_to_its_predictor():
    bus = MemoryBus()
    kill(bus, failed("predictor"))
    (dead,) = dead_letters(bus, "", 10)

    stream = requeue(bus, dead, arrived(), SEGMENTED, PARTITIONS)

    assert stream == FLASK_EVENTS.stream(arrived().key.flask, PARTITIONS)
    assert [decode(payload) for payload in bus.history(stream)] == [SEGMENTED]


def test_what_was_parked_goes_back_as_it_was():
    bus, payload = MemoryBus(), '{"kind": "from the future"}'
    kill(bus, Parked(stream="frames", key="frame:9", payload=payload, reason="unknown_version"))
    (dead,) = dead_letters(bus, "", 10)

    requeue(bus, dead, None, None, PARTITIONS)

    assert list(bus.history(FRAMES.name)) == [payload.encode()]


def test_a_frame_that_nobody_knows_stays_a_letter():
    bus = MemoryBus()
    kill(bus, failed("segmenter"))
    (dead,) = dead_letters(bus, "", 10)

    with pytest.raises(SettingsError, match="watched folder again"):
        requeue(bus, dead, None, None, PARTITIONS)
    assert len(list(bus.history(DEAD))) == 1


def test_one_that_fails_again_is_a_letter_again():
    bus = MemoryBus()
    kill(bus, failed("segmenter"))
    requeue(bus, dead_letters(bus, "", 1)[0], arrived(), None, PARTITIONS)

    kill(bus, failed("segmenter"))

    assert len(dead_letters(bus, "", 10)) == 1


@pytest.mark.parametrize("name", ["", "1", "x-1", "1-x", "9-9", "1-0-0"])
def test_a_name_that_is_none_finds_nothing(name: str):
    bus = MemoryBus()
    kill(bus, failed("segmenter"))

    assert find_dead_letter(bus, name) is None


@pytest.fixture(scope="module")
def queue() -> Iterator[LiveServer]:
    server = LiveServer()
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def broken(queue: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    state = StateFolder(tmp_path_factory.mktemp("dead"))
    state.create()
    settings = {"server": {"url": queue.url}, "watch": {"folder": str(state.root)}, "state": str(state.root)}
    (state.root / "settings.json").write_text(json.dumps(settings))
    with Ledger(state.ledger) as ledger, SqliteRecord(state.record) as record:
        for number in range(3):
            fact = arrived(number)
            ledger.add([LedgerRow(fact.source, 1, 1, fact.frame_id, "queued", "", "", fact)], fact.arrived_at)
            record.put_failure(failed("segmenter", number))
    bus = RedisBus(queue.url)
    bus.subscribe([FRAMES.name], "segmenter", "test")
    bus.beat({"engine": "eager"}, 600.0)
    for number in range(3):
        kill(bus, failed("segmenter", number), f"dead:segmenter:{number}")
    kill(bus, Parked(stream="frames", key="k", payload="{}", reason="unknown_version"), "parked:1")
    bus.close()
    site = serve(state)
    yield site
    end(site)
    shutil.rmtree(state.root, ignore_errors=True)


@pytest.fixture
def client(broken: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=broken.url, timeout=30.0) as opened:
        opened.headers["X-CSRF-Token"] = opened.get("/api/v1/me").json()["csrf"]
        yield opened


def test_the_page_lists_letters_and_workers(client: httpx.Client):
    page = client.get("/api/v1/dead-letters", params={"limit": 3}).json()
    rest = client.get("/api/v1/dead-letters", params={"cursor": page["next"]}).json()
    health = client.get("/api/v1/health").json()

    assert page["available"]
    assert [one["kind"] for one in page["items"] + rest["items"]] == ["frame_failed"] * 3 + ["parked"]
    assert page["items"][0]["source"] == arrived(0).source
    assert health["dead_letters"] == 4
    assert health["workers"][0]["stage"] == "segmenter"


def test_the_page_puts_one_into_the_queue_again_under_its_visitors_name(
    client: httpx.Client, broken: Site, queue: LiveServer
):
    letter = client.get("/api/v1/dead-letters").json()["items"][1]

    done = client.post(f"/api/v1/dead-letters/{letter['id']}/requeue", json={"comment": "the lens was clean"})
    again = client.post(f"/api/v1/dead-letters/{letter['id']}/requeue", json={})

    assert done.json()["stream"] == FRAMES.name
    assert (again.status_code, again.json()["error"]["code"]) == (404, "no_letter")
    bus = RedisBus(queue.url)
    assert [decode(payload) for payload in bus.history(FRAMES.name)] == [arrived(1)]
    bus.close()
    with SqliteRecord(broken.state.record, readonly=True) as record:
        (line,) = list(record.audit_lines())
    assert line.entry.words.endswith(f"of frame {letter['frame_id'][:12]}. the lens was clean")
    assert digest("x") not in line.text


def test_without_a_queue_the_record_says_what_failed(tmp_path: Path):
    from services.dashboard.queue import _from_record

    state = StateFolder(tmp_path)
    with SqliteRecord(state.record) as record:
        record.put_failure(failed("segmenter"))

    (letter,) = _from_record(state, 10)

    assert (letter.reason, letter.can_requeue) == ("stage_error", False)
