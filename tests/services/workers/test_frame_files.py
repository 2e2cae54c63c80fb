"""Frames as workers read them: a share that is away is waited for, a deleted file is not."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monitor.errors import FrameNotReady, FrameRejected
from monitor.frames.identity import FrameKey, frame_id_of
from monitor.frames.layout import Layout
from monitor.frames.reader import ReadLimits
from monitor.frames.sample import Sample
from monitor.messages import BlobRef, FrameArrived
from services.ingest.admission import Admission
from services.transport.ring_file import MIB, RingShape
from services.transport.shared_memory import RingReader, RingWriter
from services.transport.slot_lock import AVAILABLE
from services.workers import frame_files
from services.workers.frame_files import FrameFiles

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "share"
    (root / "A" / "p1").mkdir(parents=True)
    (root / "B").mkdir()
    return root


def put(root: Path, seed: int = 0) -> FrameArrived:
    path = root / "A" / "p1" / "20260310T120000Z.tif"
    tifffile.imwrite(path, np.random.default_rng(seed).integers(0, 4000, (64, 64), dtype=np.uint16))
    digest = frame_id_of(path)
    source = path.relative_to(root).as_posix()
    return FrameArrived(
        frame_id=digest,
        key=FrameKey(flask="A", position="p1", channel="phase", time_point="20260310T120000Z"),
        pixels=BlobRef(store="watch", path=source, sha256=digest),
        shape_px=(64, 64),
        dtype="uint16",
        pixel_size_um=0.87,
        acquired_at=NOON,
        arrived_at=NOON,
        sample=Sample(),
    )


def test_frame_is_read_with_the_pixel_size_of_its_fact(root: Path) -> None:
    frame = FrameFiles(root, ReadLimits()).read(put(root))

    assert frame.shape == (64, 64)
    assert frame.pixel_size_um == 0.87


def test_deleted_file_is_given_up(root: Path) -> None:
    arrived = put(root)
    (root / arrived.source).unlink()

    with pytest.raises(FrameRejected) as refused:
        FrameFiles(root, ReadLimits()).read(arrived)

    assert refused.value.reason == "vanished"


@pytest.mark.parametrize("mount_point_stays", [True, False])
def test_share_that_is_away_is_waited_for(root: Path, mount_point_stays: bool) -> None:
    arrived = put(root)
    shutil.move(root, root.with_name("elsewhere"))
    if mount_point_stays:
        root.mkdir()

    with pytest.raises(FrameNotReady) as refused:
        FrameFiles(root, ReadLimits()).read(arrived)

    assert refused.value.reason == "unreadable"
    assert refused.value.retryable


def test_other_content_under_the_same_name_is_named(root: Path) -> None:
    arrived = put(root)
    put(root, seed=1)

    with pytest.raises(FrameRejected) as refused:
        FrameFiles(root, ReadLimits()).read(arrived)

    assert refused.value.reason == "replaced"


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[RingWriter]:
    if not AVAILABLE:
        pytest.skip("the ring is refused on this system")
    ring = RingWriter(tmp_path / "frames.ring", RingShape(2, MIB))
    yield ring
    ring.close()


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no file is decoded by whoever reads an arrived frame."""

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("the file was decoded")

    monkeypatch.setattr(frame_files, "read_frame", refuse)


def admitted(root: Path, path: Path, ring: RingWriter) -> FrameArrived:
    """Judge a file as the ingester does, with its ring."""
    admission = Admission(
        root=root,
        layout=Layout("flask-position-time"),
        samples={},
        pixel_size_um=0.87,
        limits=ReadLimits(),
        now=lambda: NOON,
        ring=ring,
    )
    arrived = admission.admit(path, path.lstat()).arrived
    assert arrived is not None
    return arrived


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float32", "float64"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_ring_gives_what_the_file_gives(
    root: Path, tmp_path: Path, ring: RingWriter, dtype: str, compression: str | None, request: pytest.FixtureRequest
) -> None:
    path = root / "A" / "p1" / "20260310T120000Z.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (128, 96)).astype(dtype)
    tifffile.imwrite(path, pixels, compression=compression, photometric="minisblack")
    arrived = admitted(root, path, ring)
    read = FrameFiles(root, ReadLimits()).read(arrived)

    request.getfixturevalue("no_decoding")
    handed = FrameFiles(root, ReadLimits(), RingReader(tmp_path / "frames.ring")).read(arrived)

    assert handed.pixels.dtype == read.pixels.dtype and handed.pixels.tobytes() == read.pixels.tobytes()
    assert handed.shape == read.shape == arrived.shape_px
    assert handed.pixel_size_um == read.pixel_size_um == arrived.pixel_size_um


def test_pixel_size_is_that_of_the_fact_in_the_ring_too(root: Path, tmp_path: Path, ring: RingWriter) -> None:
    arrived = admitted(root, root / put(root).source, ring).model_copy(update={"pixel_size_um": 1.5})

    assert FrameFiles(root, ReadLimits(), RingReader(tmp_path / "frames.ring")).read(arrived).pixel_size_um == 1.5


@pytest.mark.parametrize("gone", ["ring", "slot"])
def test_file_is_read_where_the_ring_has_nothing(root: Path, tmp_path: Path, ring: RingWriter, gone: str) -> None:
    arrived = admitted(root, root / put(root).source, ring)
    expected = tifffile.imread(root / arrived.source)
    if gone == "ring":
        ring.close()
    else:
        for seed in (1, 2):
            path = root / "B" / f"{seed}.tif"
            tifffile.imwrite(path, np.random.default_rng(seed).integers(0, 4000, (64, 64), dtype=np.uint16))
            frame = FrameFiles(root, ReadLimits()).read(arrived)
            with ring.slot(frame.shape, frame.pixels.dtype) as slot:
                assert slot is not None
                slot.publish(frame_id_of(path), frame, path.lstat())

    frame = FrameFiles(root, ReadLimits(), RingReader(tmp_path / "frames.ring")).read(arrived)

    assert np.array_equal(frame.pixels, expected)


@pytest.mark.parametrize("field", [{"shape_px": (32, 128)}, {"dtype": "uint8"}])
def test_ring_that_contradicts_the_fact_is_not_believed(
    root: Path, tmp_path: Path, ring: RingWriter, field: dict[str, object], no_decoding: None
) -> None:
    arrived = admitted(root, root / put(root).source, ring).model_copy(update=field)

    with pytest.raises(AssertionError, match="the file was decoded"):
        FrameFiles(root, ReadLimits(), RingReader(tmp_path / "frames.ring")).read(arrived)


@pytest.mark.parametrize("reason", ["vanished", "replaced"])
def test_file_that_went_away_is_named_whatever_the_ring_holds(
    root: Path, tmp_path: Path, ring: RingWriter, reason: str
) -> None:
    arrived = admitted(root, root / put(root).source, ring)
    if reason == "vanished":
        (root / arrived.source).unlink()
    else:
        put(root, seed=1)
        os.utime(root / arrived.source, ns=(0, 0))

    with pytest.raises(FrameRejected) as refused:
        FrameFiles(root, ReadLimits(), RingReader(tmp_path / "frames.ring")).read(arrived)

    assert refused.value.reason == reason
