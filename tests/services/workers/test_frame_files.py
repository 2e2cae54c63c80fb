"""Frames as workers read them: a share that is away is waited for, a deleted file is not."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monitor.errors import FrameNotReady, FrameRejected
from monitor.frames.identity import FrameKey, frame_id_of
from monitor.frames.reader import ReadLimits
from monitor.frames.sample import Sample
from monitor.messages import BlobRef, FrameArrived
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
