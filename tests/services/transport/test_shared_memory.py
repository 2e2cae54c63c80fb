"""A ring of pixels gives a frame whole and bit for bit, or nothing: then the file is read."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor.frames.frame import Frame
from services.transport import ring_file, shared_memory, slot_lock
from services.transport.ring_file import HEADER, MIB, RingShape, RingUnavailable, open_ring, remove_ring, ring_path
from services.transport.shared_memory import RingReader, RingWriter

pytestmark = pytest.mark.skipif(not slot_lock.AVAILABLE, reason="the ring is refused on this system")

ROOT = Path(__file__).resolve().parents[3]
SHAPE = RingShape(slots=3, slot_bytes=MIB)
KILLED_IN_THE_MIDDLE = """
import os, sys, time
from pathlib import Path
import numpy as np
from monitor.frames.frame import Frame
from services.transport.ring_file import MIB, RingShape
from services.transport.shared_memory import RingWriter

writer = RingWriter(Path(sys.argv[1]), RingShape(3, MIB))
with writer.slot((512, 512), np.dtype(np.uint16)) as slot:
    slot.publish("01" * 32, Frame(np.full((512, 512), 1, np.uint16), 0.87), os.stat(sys.argv[2]))
with writer.slot((512, 512), np.dtype(np.uint16)) as slot:
    slot.pixels[:256] = 2
    slot.publish("02" * 32, Frame(slot.pixels, 0.87), os.stat(sys.argv[2]))
    print("half", flush=True)
    time.sleep(600)
"""
READS = """
import os, sys, time
from pathlib import Path
from services.transport.shared_memory import RingReader

reader, status = RingReader(Path(sys.argv[1])), os.stat(sys.argv[2])
read = [reader.get(name, status) for name in sys.argv[3:]]
print(sum(frame is not None for frame in read), flush=True)
time.sleep(600)
"""
HAMMER = """
import os, sys
from pathlib import Path
import numpy as np
from monitor.frames.frame import Frame
from services.transport.ring_file import MIB, RingShape
from services.transport.shared_memory import RingWriter

writer = RingWriter(Path(sys.argv[1]), RingShape(3, MIB))
status = os.stat(sys.argv[2])
frames = [Frame(np.full((512, 1024), value, np.uint16), 0.87) for value in range(16)]
print("ready", flush=True)
for turn in range(10_000_000):
    with writer.slot((512, 1024), np.dtype(np.uint16)) as slot:
        if slot is not None:
            slot.publish(f"{turn % 16:064x}", frames[turn % 16], status)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frames.ring"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file that frames are said to come from."""
    file = tmp_path / "frame.tif"
    file.write_bytes(b"pixels")
    return file


@pytest.fixture
def status(file: Path) -> os.stat_result:
    return file.lstat()


@pytest.fixture
def writer(path: Path) -> Iterator[RingWriter]:
    writer = RingWriter(path, SHAPE)
    yield writer
    writer.close()


def name(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def frame(number: int, dtype: str = "uint16", shape: tuple[int, int] = (96, 80)) -> Frame:
    pixels = np.random.default_rng(number).integers(0, 255, shape).astype(dtype)
    return Frame(pixels if dtype != "float32" else pixels / np.float32(7), 0.5 + number)


def put(writer: RingWriter, frame_id: str, frame: Frame, status: os.stat_result) -> bool:
    with writer.slot(frame.shape, frame.pixels.dtype) as slot:
        if slot is not None:
            slot.publish(frame_id, frame, status)
    return slot is not None


def child(program: str, *arguments: Path | str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def same(got: Frame | None, put: Frame) -> bool:
    return (
        got is not None
        and got.pixels.dtype == put.pixels.dtype
        and got.pixel_size_um == put.pixel_size_um
        and np.array_equal(got.pixels, put.pixels)
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_frame_comes_out_as_it_was_put(path, writer, status, dtype):
    given = frame(1, dtype)

    assert put(writer, name(1), given, status)
    got = RingReader(path).get(name(1), status)

    assert same(got, given)
    with pytest.raises(ValueError, match="read-only"):
        got.pixels[0, 0] = 1


def test_pixels_lie_in_the_ring_from_decoder_to_reader(path, writer, status):
    with writer.slot((96, 80), np.dtype(np.uint16)) as slot:
        slot.pixels[:] = frame(1).pixels
        slot.publish(name(1), Frame(slot.pixels, 1.5), status)
    got = RingReader(path).get(name(1), status)
    slot.pixels[3, 5] = 4711  # what nobody may do shows that there is one memory

    assert got.pixels[3, 5] == 4711


def test_pixels_need_not_lie_in_one_piece(path, writer, status):
    given = Frame(frame(1).pixels.T[::2], 1.0)

    put(writer, name(1), given, status)

    assert same(RingReader(path).get(name(1), status), given)


def test_oldest_is_overwritten(path, writer, status):
    reader = RingReader(path)
    for number in range(5):
        assert put(writer, name(number), frame(number), status)

    got = [reader.get(name(number), status) for number in range(5)]

    assert got[:2] == [None, None]
    assert all(same(got[number], frame(number)) for number in (2, 3, 4))


def test_frame_that_is_there_stays_where_it_is_and_takes_no_second_slot(path, writer, status):
    for number in (0, 1, 2, 1, 1, 1):
        assert put(writer, name(number), frame(number), status)
    assert put(writer, name(3), frame(3), status)

    assert all(same(RingReader(path).get(name(number), status), frame(number)) for number in (1, 2, 3))


def test_frame_larger_than_a_slot_is_not_put(path, writer, status):
    most = Frame(np.ones((1024, 512), np.uint16), 1.0)

    assert not put(writer, name(1), Frame(np.ones((1025, 512), np.uint16), 1.0), status)
    assert RingReader(path).get(name(1), status) is None
    assert put(writer, name(2), most, status)
    assert same(RingReader(path).get(name(2), status), most)


@pytest.mark.parametrize("dtype", ["float64", ">u2", "int32"])
def test_pixels_that_no_frame_has_are_not_put(writer, status, dtype):
    assert not put(writer, name(1), Frame(np.ones((8, 8), dtype), 1.0), status)


def test_file_that_changed_is_not_answered_from_the_ring(path, writer, file, status):
    put(writer, name(1), frame(1), status)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    touched = file.lstat()
    file.write_bytes(b"other pixels")

    assert RingReader(path).get(name(1), touched) is None
    assert RingReader(path).get(name(1), file.lstat()) is None


@pytest.mark.parametrize("puts", [1, 3, 40])
def test_slot_that_is_read_is_left_to_its_reader(path, writer, status, puts):
    put(writer, name(0), frame(0), status)
    reader = RingReader(path)
    got, again = reader.get(name(0), status), reader.get(name(0), status)
    del again  # two readers of one slot: the first to end leaves it to the other
    corner = got.pixels[2:5, 3:7]
    del got

    for number in range(1, 1 + puts):
        assert put(writer, name(number), frame(number), status)

    assert np.array_equal(corner, frame(0).pixels[2:5, 3:7])
    assert same(reader.get(name(0), status), frame(0))
    assert same(reader.get(name(puts), status), frame(puts))
    del corner
    for number in range(41, 44):
        assert put(writer, name(number), frame(number), status)
    assert reader.get(name(0), status) is None, "nobody reads it any more"


def test_frame_goes_by_file_while_every_slot_is_read(path, writer, status):
    reader = RingReader(path)
    for number in range(3):
        put(writer, name(number), frame(number), status)
    read = [reader.get(name(number), status) for number in range(3)]

    assert not put(writer, name(3), frame(3), status)
    assert all(same(got, frame(number)) for number, got in enumerate(read))
    read.clear()
    assert put(writer, name(3), frame(3), status)


def test_reader_that_was_killed_gives_its_slots_back(path, writer, status, file):
    for number in range(3):
        put(writer, name(number), frame(number), status)
    with child(READS, path, file, *(name(number) for number in range(3))) as process:
        assert process.stdout is not None and process.stdout.readline() == "3\n"
        assert not put(writer, name(3), frame(3), status)
        process.send_signal(signal.SIGKILL)

    assert put(writer, name(3), frame(3), status)


def test_slot_that_is_written_is_not_read(path, writer, status):
    put(writer, name(0), frame(0), status)
    reader, generations = RingReader(path), open_ring(path).generations
    with writer.slot((8, 8), np.dtype(np.uint8)):  # the next that is free
        assert same(reader.get(name(0), status), frame(0))
    assert not generations[1:].any(), "what was not published is nowhere"
    for number in (1, 2):
        put(writer, name(number), frame(number), status)

    with writer.slot((8, 8), np.dtype(np.uint8)) as slot:
        slot.publish(name(3), Frame(np.ones((8, 8), np.uint8), 1.0), status)
        assert reader.get(name(0), status) is None
        assert reader.get(name(3), status) is None
    assert reader.get(name(3), status) is not None


def test_slot_is_free_again_after_a_decoder_failed_in_it(path, writer, status):
    reader = RingReader(path)
    for number in range(3):
        put(writer, name(number), frame(number), status)
    with pytest.raises(RuntimeError), writer.slot((8, 8), np.dtype(np.uint8)):
        raise RuntimeError

    assert reader.get(name(0), status) is None
    assert reader.get("0" * 64, status) is None, "an empty slot has no name either"
    put(writer, name(3), frame(3), status)
    assert all(same(reader.get(name(number), status), frame(number)) for number in (1, 2, 3))


def test_frame_of_another_shape_than_its_slot_goes_by_file(path, writer, status):
    with writer.slot((96, 80), np.dtype(np.uint16)) as slot:
        slot.publish(name(1), frame(1, shape=(80, 96)), status)
    with writer.slot((96, 80), np.dtype(np.uint16)) as slot:
        slot.publish(name(2), frame(2, "uint8"), status)

    assert RingReader(path).get(name(1), status) is None
    assert RingReader(path).get(name(2), status) is None


def test_slot_that_becomes_another_frame_between_lookup_and_copy_is_not_believed(path, writer, status, monkeypatch):
    found = shared_memory._slots_of
    reader = RingReader(path)
    put(writer, name(0), frame(0), status)

    def overtaken(ring, frame_id):
        slots = found(ring, frame_id)
        monkeypatch.setattr(shared_memory, "_slots_of", found)
        for number in range(1, 4):
            put(writer, name(number), frame(number), status)
        return slots

    monkeypatch.setattr(shared_memory, "_slots_of", overtaken)

    assert reader.get(name(0), status) is None
    assert same(reader.get(name(3), status), frame(3))


def test_writer_killed_in_the_middle_leaves_a_slot_that_nobody_believes_and_the_next_fills(path, file, status):
    reader = RingReader(path)
    with child(KILLED_IN_THE_MIDDLE, path, file) as process:
        assert process.stdout is not None and process.stdout.readline() == "half\n"
        half_written = reader.get("02" * 32, status)
        process.send_signal(signal.SIGKILL)

    assert half_written is None and reader.get("02" * 32, status) is None
    assert np.all(reader.get("01" * 32, status).pixels == 1), "what was whole stays"
    next_writer = RingWriter(path, SHAPE)
    assert sorted(np.asarray(open_ring(path).generations % 2)) == [0, 0, 1]
    put(next_writer, "02" * 32, Frame(np.full((512, 512), 3, np.uint16), 0.87), status)
    assert np.all(reader.get("02" * 32, status).pixels == 3)
    assert not np.any(open_ring(path).generations % 2), "the slot was used again"
    put(next_writer, "03" * 32, frame(3), status)
    assert reader.get("01" * 32, status) is not None
    next_writer.close()


def test_every_frame_is_whole_while_a_writer_hammers(path, file, status):
    reader, whole, missed = RingReader(path), 0, 0
    with child(HAMMER, path, file) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            until = time.monotonic() + 2.0
            while time.monotonic() < until or (whole == 0 and process.poll() is None):
                for value in range(16):
                    got = reader.get(f"{value:064x}", status)
                    if got is None:
                        missed += 1
                        continue
                    assert got.pixels.min() == got.pixels.max() == value
                    whole += 1
        finally:
            process.kill()
    assert whole and missed


def test_second_writer_is_refused_while_the_first_lives(path, status):
    first = RingWriter(path, SHAPE)
    with pytest.raises(RingUnavailable, match="used by another ingester") as refused:
        RingWriter(path, SHAPE)
    put(first, name(1), frame(1), status)

    assert refused.value.reason == "in_use"
    assert same(RingReader(path).get(name(1), status), frame(1))
    first.close()
    RingWriter(path, SHAPE).close()


@pytest.mark.parametrize("wrong", [{"version": 1}, {"magic": b"cellrung"}, {"slots": 4}, {"slot_bytes": 2 * MIB}])
def test_ring_of_another_version_is_not_read_and_is_replaced(path, writer, status, wrong):
    put(writer, name(1), frame(1), status)
    old = RingReader(path)
    assert old.get(name(1), status) is not None
    content = bytearray(path.read_bytes())
    header = np.frombuffer(content, HEADER, count=1)
    for field, value in wrong.items():
        header[field] = value
    path.unlink()
    path.write_bytes(content)

    assert RingReader(path).get(name(1), status) is None
    replaced = RingWriter(path, SHAPE)
    put(replaced, name(2), frame(2), status)

    assert same(RingReader(path).get(name(2), status), frame(2))
    assert same(old.get(name(2), status), frame(2)), "a reader finds the new one"
    replaced.close()


@pytest.mark.parametrize("content", [b"", b"cell", bytes(64)])
def test_file_that_is_no_ring_yet_is_not_read_and_is_replaced(path, status, content):
    path.write_bytes(content)
    reader = RingReader(path)

    assert reader.get(name(1), status) is None
    writer = RingWriter(path, RingShape(2, MIB))
    put(writer, name(1), frame(1), status)
    assert same(reader.get(name(1), status), frame(1))
    writer.close()


def test_reader_waits_for_no_ring_and_finds_it_when_it_comes(path, status):
    reader = RingReader(path)

    assert reader.get(name(1), status) is None
    writer = RingWriter(path, SHAPE)
    put(writer, name(1), frame(1), status)
    assert same(reader.get(name(1), status), frame(1))
    writer.close()


def test_ring_is_removed_at_the_end_and_readers_keep_what_they_have(path, status):
    reader, writer = RingReader(path), RingWriter(path, SHAPE)
    put(writer, name(1), frame(1), status)
    assert reader.get(name(1), status) is not None

    writer.close()
    writer.close()

    assert not path.exists()
    assert not put(writer, name(2), frame(2), status)
    assert same(reader.get(name(1), status), frame(1))
    assert RingReader(path).get(name(1), status) is None


def test_ring_belongs_to_its_user_alone(path, writer, status, monkeypatch):
    put(writer, name(1), frame(1), status)
    assert path.stat().st_mode & 0o777 == 0o600
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)

    assert RingReader(path).get(name(1), status) is None
    with pytest.raises(RingUnavailable) as refused:
        RingWriter(path, SHAPE)
    assert refused.value.reason == "foreign"


def test_link_in_the_place_of_a_ring_is_not_followed(path, tmp_path, status):
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    path.symlink_to(target)

    assert RingReader(path).get(name(1), status) is None
    with pytest.raises(RingUnavailable, match="cannot be used"):
        RingWriter(path, SHAPE)
    assert target.read_bytes() == b"precious"


def test_each_state_folder_has_its_own_ring(tmp_path, monkeypatch):
    assert ring_path(tmp_path / "a") != ring_path(tmp_path / "b")
    assert ring_path(tmp_path / "a") == ring_path(tmp_path / "b" / ".." / "a")
    monkeypatch.setattr(ring_file, "MEMORY", tmp_path / "nowhere")
    assert ring_path(tmp_path / "a").parent == tmp_path / "a"


def test_what_a_killed_ingester_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(ring_file, "MEMORY", tmp_path)
    remove_ring(tmp_path / "state")
    ring_path(tmp_path / "state").write_bytes(b"left")

    remove_ring(tmp_path / "state")

    assert not ring_path(tmp_path / "state").exists()


def test_system_without_locks_on_slots_gets_no_ring(path, monkeypatch):
    monkeypatch.setattr(ring_file, "AVAILABLE", False)

    with pytest.raises(RingUnavailable, match="ring_mb to 0") as refused:
        RingWriter(path, SHAPE)

    assert refused.value.reason == "no_locks"
    assert not path.exists()


def test_frame_goes_by_file_when_the_reader_can_open_nothing_more(path, writer, status, monkeypatch):
    put(writer, name(1), frame(1), status)
    reader = RingReader(path)
    assert reader.get(name(1), status) is not None

    def refused(*_arguments: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(ring_file.RingFile, "opened_again", refused)

    assert reader.get(name(1), status) is None
