"""The ingester over real files: each frame once, whenever and however it comes."""

import io
import os
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from alarm_receiver import wait_for
from cases.bad_files import good_bytes, picture
from cases.ingest_run import INTERVAL, START, Chain, Stamp, name_of, place

import services.ingest.ingester
import services.ingest.publisher
from monitor.errors import SettingsError
from monitor.frames.identity import frame_id_of
from services.clock import SystemClock
from services.ingest.ingester import Ingester
from services.ingest.scanner import scan
from services.ingest.watcher import Watcher
from services.settings import Settings, WatchSettings
from services.store.ledger import Ledger
from services.transport.memory import MemoryBus
from services.transport.streams import FRAMES

pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")  # of watchdog, in its own thread
NAME = name_of("A", 0)


class HandClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the ingester look at queue and silence more often than in real life."""
    monkeypatch.setattr(services.ingest.ingester, "EPOCH_S", 0.1)
    monkeypatch.setattr(services.ingest.ingester, "SILENCE_S", 0.05)
    monkeypatch.setattr(services.ingest.ingester, "LOOK_S", 0.02)


def no_size() -> bytes:
    """Return a frame that does not say its pixel size."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, picture(), metadata=None)
    return stream.getvalue()


def aged(path: Path, seconds: float = 3600.0) -> Path:
    """Give a file an old modification time: it has held still for long."""
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_frame_in_its_place_is_queued_once_with_its_fact(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    with chain.running():
        path = place(chain.root / NAME, good_bytes())
        wait_for(lambda: chain.sources() == [NAME])

    (frame,) = chain.queued()
    assert frame.frame_id == frame.pixels.sha256 == frame_id_of(path)
    assert str(frame.key) == "A/p1/phase/20260310T120000Z"
    assert (frame.shape_px, frame.dtype, frame.acquired_at) == ((96, 80), "uint16", START)
    assert frame.pixel_size_um == pytest.approx(0.87)
    assert abs((datetime.now(UTC) - frame.arrived_at).total_seconds()) < 60
    assert chain.states() == {NAME: ["queued"]}


def test_file_that_still_grows_is_waited_for(tmp_path: Path) -> None:
    chain = Chain(tmp_path, settle_s=0.5, rescan_s=0.05)
    path = chain.root / NAME
    path.parent.mkdir(parents=True)
    whole = good_bytes()
    with chain.running(), path.open("wb") as stream:
        # whole in its structure from the first moment: only that it grows says that it is not finished
        stream.write(whole)
        for _ in range(30):
            stream.write(b"more")
            stream.flush()
            time.sleep(0.04)
            assert chain.sources() == []
        wait_for(lambda: chain.sources() == [NAME])

    assert chain.queued()[0].frame_id == frame_id_of(path)
    assert chain.states() == {NAME: ["queued"]}


def test_file_that_pauses_half_way_is_waited_for(tmp_path: Path) -> None:
    chain = Chain(tmp_path, deadline_s=30.0)
    path = chain.root / NAME
    path.parent.mkdir(parents=True)
    whole = good_bytes()
    with chain.running():
        with path.open("wb") as stream:
            stream.write(whole[:-5000])
            stream.flush()
            wait_for(lambda: chain.ingester.progress().unready == 1)
            assert chain.states() == {}
            stream.write(whole[-5000:])
        wait_for(lambda: chain.sources() == [NAME])

    assert chain.states() == {NAME: ["queued"]}


def test_file_that_stays_half_is_quarantined_and_a_frame_once_it_is_whole(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    with chain.running():
        place(chain.root / NAME, good_bytes()[:-5000])
        wait_for(lambda: chain.reasons() == {NAME: "truncated"})
        assert chain.log.events().count("quarantined") == 1
        place(chain.root / NAME, good_bytes())
        wait_for(lambda: chain.sources() == [NAME])

    assert chain.states() == {NAME: ["vanished", "queued"]}


@pytest.mark.parametrize("temporary", [".x.tif", "20260310T120000Z.tif.part", "20260310T120000Z.tif.tmp", "x.tif~"])
def test_temporary_name_is_passed_over_until_it_is_renamed(tmp_path: Path, temporary: str) -> None:
    chain = Chain(tmp_path)
    part = chain.root / "A" / "p1" / temporary
    part.parent.mkdir(parents=True)
    part.write_bytes(good_bytes(3)[:500])
    with chain.running():
        part.write_bytes(good_bytes(1))
        place(chain.root / name_of("B", 0), good_bytes(2))
        wait_for(lambda: chain.sources() == [name_of("B", 0)])
        part.rename(chain.root / NAME)
        wait_for(lambda: len(chain.sources()) == 2)

    assert chain.states() == {name_of("B", 0): ["queued"], NAME: ["queued"]}


def test_copy_of_a_frame_is_not_a_second_frame(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    with chain.running():
        place(chain.root / NAME, good_bytes())
        wait_for(lambda: chain.sources() == [NAME])
        place(chain.root / name_of("B", 0), good_bytes())
        wait_for(lambda: name_of("B", 0) in chain.states())

    assert chain.sources() == [NAME]
    assert chain.states() == {NAME: ["queued"], name_of("B", 0): ["duplicate"]}
    assert chain.rows()[1].detail == f"same content as {NAME}"


def test_touched_file_is_not_a_second_frame(tmp_path: Path) -> None:
    chain = Chain(tmp_path, rescan_s=0.1)
    with chain.running():
        path = place(chain.root / NAME, good_bytes())
        wait_for(lambda: chain.sources() == [NAME])
        os.utime(path, (1_700_000_000,) * 2)
        wait_for(lambda: len(chain.rows()) == 2)

    assert chain.sources() == [NAME]
    assert chain.states() == {NAME: ["queued", "duplicate"]}


def test_file_replaced_with_other_content_is_another_frame(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    with chain.running():
        place(chain.root / NAME, good_bytes(1))
        wait_for(lambda: len(chain.sources()) == 1)
        place(chain.root / NAME, good_bytes(2))
        wait_for(lambda: len(chain.sources()) == 2)

    first, second = chain.queued()
    assert first.frame_id != second.frame_id == frame_id_of(chain.root / NAME)
    assert chain.states() == {NAME: ["replaced", "queued"]}


def test_started_again_over_the_same_folder_it_queues_nothing_twice(tmp_path: Path) -> None:
    chain = Chain(tmp_path, deadline_s=0.1)
    stamp = Stamp()
    names = [name_of(flask, number) for number in range(8) for flask in "AB"]
    for number, name in enumerate(names):
        aged(place(chain.root / name, stamp(number)))
    aged(place(chain.root / name_of("C", 0), b"no frame at all"))
    chain.finish()
    before = chain.sources(), chain.states()
    assert sorted(before[0]) == sorted(names)

    for _ in range(2):
        chain.log.lines.clear()
        chain.finish()
        assert (chain.sources(), chain.states()) == before
        assert chain.log.events().count("quarantined") == 0

    place(chain.root / name_of("A", 99), stamp(99))
    chain.finish()
    assert chain.sources() == [*before[0], name_of("A", 99)]


def test_backlog_goes_by_the_time_of_acquisition_whatever_the_names(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    stamp = Stamp()
    names = [name_of(flask, number) for number in range(120) for flask in ("Z", "A", "M")]
    for number in np.random.default_rng(1).permutation(len(names)):
        aged(place(chain.root / names[number], stamp(int(number))), seconds=float(number))
    chain.settings = chain.settings.model_copy(
        update={"watch": chain.settings.watch.model_copy(update={"settle_s": 0.001})}
    )

    chain.finish()

    moments = [frame.acquired_at for frame in chain.queued()]
    assert len(moments) == len(names)
    assert moments == sorted(moments)
    assert moments[-1] == START + 119 * INTERVAL


def test_new_folders_in_folders_are_seen_with_all_that_is_in_them(tmp_path: Path) -> None:
    chain = Chain(tmp_path, layout=r"run/(?:[a-e]/)*(?P<flask>\w+)_(?P<index>\d+)\.tif")
    stamp = Stamp()
    made = tmp_path / "made" / "run"
    for number, folder in enumerate((made, made / "a", made / "a" / "b")):
        place(folder / f"moved_{number}.tif", stamp(number))
    with chain.running():
        wait_for(lambda: chain.ingester.idle())
        made.rename(chain.root / "run")
        for number, name in enumerate(("run/c", "run/c/d", "run/c/d/e", "run/a/b/c")):
            place(chain.root / name / f"written_{number}.tif", stamp(10 + number))
        wait_for(lambda: len(chain.sources()) == 7)

    assert {row.state for row in chain.rows()} == {"queued"}


def test_polling_finds_what_no_event_tells_of(tmp_path: Path) -> None:
    chain = Chain(tmp_path, observer="polling", poll_s=0.1)
    with chain.running():
        place(chain.root / NAME, good_bytes(1))
        wait_for(lambda: chain.sources() == [NAME])
        place(chain.root / NAME, good_bytes(2))
        place(chain.root / name_of("B", 0), good_bytes(3))
        wait_for(lambda: len(chain.sources()) == 3)

    assert chain.log.events().count("polling") == 1
    assert chain.states() == {NAME: ["replaced", "queued"], name_of("B", 0): ["queued"]}


def test_silence_is_announced_once_and_again_after_the_next_frame(tmp_path: Path) -> None:
    chain = Chain(tmp_path, expected_interval_s=900.0, rescan_s=0.05)
    clock = HandClock()
    with chain.running(clock):
        place(chain.root / NAME, good_bytes(1))
        place(chain.root / name_of("B", 0), good_bytes(2))
        wait_for(lambda: len(chain.sources()) == 2)
        clock.moment += timedelta(seconds=2600)
        place(chain.root / name_of("B", 1), good_bytes(3))
        wait_for(lambda: len(chain.sources()) == 3)
        assert chain.silences() == []

        clock.moment += timedelta(seconds=200)
        wait_for(lambda: len(chain.silences()) == 1)
        clock.moment += timedelta(seconds=100)
        scans = chain.ingester._finder.scans_done
        wait_for(lambda: chain.ingester._finder.scans_done > scans + 10)
        assert chain.log.events().count("flask_silent") == 1

        place(chain.root / name_of("A", 1), good_bytes(4))
        wait_for(lambda: len(chain.sources()) == 4)
        assert [silence.flask for silence in chain.silences()] == ["A"]
        clock.moment += timedelta(seconds=2800)
        wait_for(lambda: len(chain.silences()) == 3)

    first, *later = chain.silences()
    assert (first.last_frame_id, first.expected_interval_s) == (chain.queued()[0].frame_id, 900.0)
    assert first.observed_at > START + timedelta(seconds=2700)
    assert sorted(silence.flask for silence in later) == ["A", "B"]
    assert chain.log.events().count("flask_silent") == 3


def test_rhythm_is_learned_and_remembered_through_a_restart(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    stamp, clock = Stamp(), HandClock()
    for number in range(4):
        place(chain.root / name_of("A", number), stamp(number))
    with chain.running(clock):
        wait_for(lambda: len(chain.sources()) == 4)
    clock.moment += timedelta(seconds=3.1 * 900)

    with chain.running(clock):
        wait_for(lambda: len(chain.silences()) == 1)

    assert chain.silences()[0].expected_interval_s == 900.0
    with chain.running(clock):
        wait_for(lambda: chain.log.events().count("flask_silent") == 2)
    assert len(chain.silences()) == 1


@pytest.mark.parametrize("observer", ["events", "polling"])
@pytest.mark.parametrize("sidecar", ["cellvigil.json", "A/cellvigil.json", NAME.replace(".tif", ".json")])
def test_pixel_size_beside_a_quarantined_file_mends_it(tmp_path: Path, observer: str, sidecar: str) -> None:
    chain = Chain(tmp_path, observer=observer, poll_s=0.1)
    with chain.running():
        place(chain.root / NAME, no_size())
        wait_for(lambda: chain.reasons() == {NAME: "no_pixel_size"})
        place(chain.root / sidecar, b'{"pixel_size_um": "wide"}')
        wait_for(lambda: chain.reasons() == {NAME: "bad_pixel_size"})
        place(chain.root / sidecar, b'{"pixel_size_um": 0.5}')
        wait_for(lambda: chain.sources() == [NAME])

    assert chain.queued()[0].pixel_size_um == 0.5
    assert chain.states() == {NAME: ["queued"]}


def test_file_that_a_sidecar_does_not_mend_keeps_nobody_busy(tmp_path: Path) -> None:
    chain = Chain(tmp_path, observer="polling", poll_s=0.05)
    place(chain.root / NAME, no_size())
    place(chain.root / "cellvigil.json", b'{"pixel_size_um": -1}')
    began = time.monotonic()

    chain.finish(idle_s=0.5)

    assert time.monotonic() - began < 10.0
    assert chain.reasons() == {NAME: "bad_pixel_size"}


def test_size_in_the_settings_takes_up_what_was_quarantined_before(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    place(chain.root / NAME, no_size())
    chain.finish()
    assert chain.reasons() == {NAME: "no_pixel_size"}
    chain.settings = chain.settings.model_copy(
        update={"watch": chain.settings.watch.model_copy(update={"pixel_size_um": 2.0})}
    )

    chain.finish()

    assert [frame.pixel_size_um for frame in chain.queued()] == [2.0]
    assert chain.states() == {NAME: ["queued"]}


def test_quarantined_file_that_is_deleted_has_vanished(tmp_path: Path) -> None:
    chain = Chain(tmp_path, rescan_s=0.1)
    with chain.running():
        path = place(chain.root / NAME, b"no frame at all")
        wait_for(lambda: chain.reasons() == {NAME: "not_an_image"})
        path.unlink()
        wait_for(lambda: chain.states() == {NAME: ["vanished"]})
        place(path, good_bytes())
        wait_for(lambda: chain.sources() == [NAME])

    assert chain.states() == {NAME: ["vanished", "queued"]}


def test_state_folder_and_hidden_folders_in_the_watched_one_are_passed_over(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.settings = chain.settings.model_copy(update={"state": chain.root / "state"})
    (chain.root / "state").mkdir()
    with chain.running():
        place(chain.root / "state" / "p1" / Path(NAME).name, good_bytes(1))
        place(chain.root / ".cache" / "p1" / Path(NAME).name, good_bytes(2))
        place(chain.root / NAME, good_bytes(3))
        wait_for(lambda: chain.sources() == [NAME])
    chain.finish()

    assert chain.states() == {NAME: ["queued"]}


def test_full_queue_is_waited_for_and_nothing_is_lost(tmp_path: Path) -> None:
    chain = Chain(tmp_path, capacity=1)
    stamp = Stamp()
    for number in range(3):
        place(chain.root / name_of("A", number), stamp(number))
    taken: list[str] = []
    reader = MemoryBus(chain.queue)
    reader.subscribe([FRAMES.name], "segmenter", "one")
    with chain.running():
        wait_for(lambda: "back_pressure" in chain.log.events())
        assert chain.states() and set(map(tuple, chain.states().values())) <= {("arrived",), ("queued",)}
        chain.queue.capacity = None
        while len(taken) < 3:
            for delivery in reader.read(10, 5.0):
                assert reader.settle(delivery, [])
                taken.append(delivery.key)

    assert len(set(taken)) == 3
    assert set(map(tuple, chain.states().values())) == {("queued",)}


def test_queue_that_was_lost_is_filled_with_what_has_no_result(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    stamp = Stamp()
    for number in range(6):
        aged(place(chain.root / name_of("A", number), stamp(number)))
    with chain.running():
        wait_for(lambda: len(chain.sources()) == 6)
        chain.settled = {frame.frame_id for frame in chain.queued()[:2]}
        chain.queue.wipe()
        wait_for(lambda: len(chain.sources()) == 4)

    assert chain.sources() == [name_of("A", number) for number in range(2, 6)]


def test_finite_run_stays_for_its_results_and_mends_a_queue_that_is_lost_meanwhile(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    stamp = Stamp()
    for number in range(3):
        aged(place(chain.root / name_of("A", number), stamp(number)))
    with chain.running(until_idle_s=0.2, until_settled=True):
        wait_for(lambda: len(chain.sources()) == 3)
        frames = [frame.frame_id for frame in chain.queued()]
        wait_for(lambda: chain.ingester.idle_s() > 0.5)
        chain.settled = set(frames[:2])
        chain.queue.wipe()
        wait_for(lambda: len(chain.sources()) == 1)
        chain.settled = set(frames)

    assert chain.sources() == [name_of("A", 2)]


def test_entries_that_a_queue_forgot_are_queued_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services.ingest.publisher, "BATCH", 2)
    chain = Chain(tmp_path, rescan_s=0.1)
    stamp = Stamp()
    for number in range(5):
        aged(place(chain.root / name_of("A", number), stamp(number)))
    with chain.running():
        wait_for(lambda: len(chain.sources()) == 5)
        with chain.queue.changed:
            chain.queue.streams.clear()
            chain.queue.once.clear()
        wait_for(lambda: len(chain.sources()) == 5)

    assert chain.sources() == [name_of("A", number) for number in range(5)]


def test_last_look_before_an_end_says_what_is_still_unreadable(tmp_path: Path) -> None:
    chain = Chain(tmp_path, deadline_s=600.0)
    place(chain.root / NAME, good_bytes(1))
    place(chain.root / name_of("A", 1), good_bytes(2)[:-5000])

    chain.finish()

    assert chain.states() == {NAME: ["queued"], name_of("A", 1): ["quarantined"]}
    assert chain.progress is not None
    assert (chain.progress.arrived, chain.progress.quarantined, chain.progress.quarantine) == (1, 1, 1)


def test_sample_table_travels_with_the_frames(tmp_path: Path) -> None:
    table = tmp_path / "samples.csv"
    table.write_text("flask,donor,passage\nA,D7,4\n")
    chain = Chain(tmp_path, samples=table)
    place(chain.root / NAME, good_bytes(1))
    place(chain.root / name_of("B", 0), good_bytes(2))

    chain.finish()

    found = {frame.key.flask: (frame.sample.donor, frame.sample.passage) for frame in chain.queued()}
    assert found == {"A": ("D7", 4), "B": (None, None)}


@pytest.mark.parametrize("year", [1950, 2400])
def test_impossible_modification_times_do_no_harm(tmp_path: Path, year: int) -> None:
    chain = Chain(tmp_path, layout=r"(?P<flask>\w+)_(?P<index>\d+)\.tif", rescan_s=0.05)
    path = place(chain.root / "A_1.tif", good_bytes())
    moment = datetime(year, 1, 1, tzinfo=UTC)
    os.utime(path, (moment.timestamp(),) * 2)

    chain.finish()
    chain.finish()

    assert [frame.acquired_at for frame in chain.queued()] == [moment]
    assert chain.states() == {"A_1.tif": ["queued"]}


def test_year_that_no_calendar_has_counts_as_unknown(tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir():
        pytest.skip("no file system here that holds such years")
    home = shared / f"cellvigil-{os.getpid()}"
    home.mkdir()
    try:
        chain = Chain(home, layout=r"(?P<flask>\w+)_(?P<index>\d+)\.tif", observer="polling", poll_s=0.05)
        path = place(chain.root / "A_1.tif", good_bytes())
        os.utime(path, (900_000_000_000,) * 2)  # the greatest time of a Windows share: in the year 30,489
        chain.finish()
        assert [frame.acquired_at.year for frame in chain.queued()] == [1970]
    finally:
        shutil.rmtree(home)


def test_recording_of_many_gigabytes_is_refused_without_being_read(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    for name in ("A/p1/movie.nd2", "A/p1/notes.tif"):
        path = place(chain.root / name, b"x")
        os.truncate(path, 500 * 1024**3)
    began = time.monotonic()

    chain.finish()

    assert time.monotonic() - began < 20.0
    assert chain.reasons() == {"A/p1/movie.nd2": "unsupported_format", "A/p1/notes.tif": "layout"}
    assert [row.frame_id for row in chain.rows()] == ["", ""]


def test_share_that_goes_away_under_an_unfinished_file_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain(tmp_path)
    path = chain.root / NAME
    really_lstat = Path.lstat
    away = threading.Event()
    asked = threading.Event()

    def lstat(self: Path) -> os.stat_result:
        if away.is_set() and self == path:
            asked.set()
            raise OSError(116, "Stale file handle", str(self))
        return really_lstat(self)

    monkeypatch.setattr(Path, "lstat", lstat)
    with chain.running():
        place(path, good_bytes()[:-5000])
        wait_for(lambda: len(chain.ingester._candidates) == 1)
        away.set()
        wait_for(asked.is_set)
        wait_for(lambda: len(chain.ingester._candidates) == 0)
        away.clear()
        place(path, good_bytes())
        wait_for(lambda: chain.sources() == [NAME])

    assert chain.states() == {NAME: ["queued"]}


def test_folder_exchanged_for_a_file_ends_nothing(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    path = chain.root / NAME
    with chain.running():
        place(path, good_bytes()[:-5000])
        wait_for(lambda: len(chain.ingester._candidates) == 1)
        shutil.rmtree(path.parent)
        path.parent.write_text("a file now")
        wait_for(lambda: len(chain.ingester._candidates) == 0)
        place(chain.root / name_of("B", 0), good_bytes(1))
        wait_for(lambda: chain.sources() == [name_of("B", 0)])

    assert chain.states() == {name_of("B", 0): ["queued"]}


def test_links_that_lead_nowhere_end_no_scan(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "gone.tif").symlink_to("nowhere")
    (tmp_path / "up").symlink_to("..")
    (tmp_path / "a.tif").touch()

    found = [entry.name for entry in scan(tmp_path, tmp_path, tmp_path / "state")]

    assert found == ["a.tif", "gone.tif", "up"]


def test_more_events_than_are_kept_are_told_as_lost(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, "events", tmp_path / "state", hints_most=3)
    assert watcher.start() is None
    try:
        for number in range(10):
            place(tmp_path / f"{number}.tif", b"x")
        wait_for(lambda: watcher._overflowed)
        paths, lost = watcher.take()
    finally:
        watcher.stop()

    assert lost and len(paths) == 3
    assert watcher.take()[1] is False


def test_watcher_that_died_is_replaced_by_polling(tmp_path: Path) -> None:
    chain = Chain(tmp_path, poll_s=0.1)
    with chain.running():
        place(chain.root / NAME, good_bytes(1))
        wait_for(lambda: chain.sources() == [NAME])
        observer: Any = chain.ingester._finder._watcher._observer
        observer.stop()
        wait_for(lambda: "events_lost" in chain.log.events())
        place(chain.root / name_of("B", 0), good_bytes(2))
        wait_for(lambda: len(chain.sources()) == 2)

    assert chain.states() == {NAME: ["queued"], name_of("B", 0): ["queued"]}


def test_missing_folder_is_said_at_once(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, watch=WatchSettings(folder=tmp_path / "nowhere"))

    with Ledger(tmp_path / "ledger.sqlite3") as ledger, pytest.raises(SettingsError, match="nowhere is not a folder"):
        Ingester(settings, MemoryBus(), ledger, set, SystemClock())
