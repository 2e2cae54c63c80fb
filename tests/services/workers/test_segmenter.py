"""The segmenter's stage by itself: what it makes of a batch."""

from pathlib import Path

import numpy as np
import tifffile
from cases.sample_messages import QUALITY, arrived

from monitor.frames.frame import Frame
from monitor.frames.identity import frame_id_of
from monitor.frames.reader import ReadLimits
from monitor.messages import BlobRef, FrameArrived
from monitor.parity import Chosen
from monitor.segmentation.segmenter import Segmentation
from services.store.record_sqlite import SqliteRecord
from services.transport.file_blobs import FileLabels
from services.transport.stage import Done, Reject
from services.workers.frame_files import FrameFiles
from services.workers.segmenter import SegmenterStage


class OneCell:
    """Finds one cell in every frame, and counts the frames."""

    engine_name = engine_digest = weights_digest = "one-cell"

    def __init__(self) -> None:
        self.seen = 0

    def warm_up(self) -> None:
        """Nothing is to be warmed."""

    def segment(self, frames: list[Frame]) -> list[Segmentation]:
        self.seen += len(frames)
        return [Segmentation(*(np.ones(frame.shape, np.int32),) * 2, QUALITY, frame.pixel_size_um) for frame in frames]


def put(root: Path, number: int) -> FrameArrived:
    fact = arrived(number)
    path = root / fact.source
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.random.default_rng(number).integers(0, 4000, (64, 64), dtype=np.uint16))
    digest = frame_id_of(path)
    pixels = BlobRef(store="watch", path=fact.source, sha256=digest)
    return fact.model_copy(update={"frame_id": digest, "pixels": pixels, "shape_px": (64, 64)})


def test_a_frame_that_came_twice_in_one_batch_is_segmented_once(tmp_path: Path) -> None:
    segmenter = OneCell()
    first, second, lost = (put(tmp_path / "frames", number) for number in range(3))
    (tmp_path / "frames" / lost.source).unlink()
    with SqliteRecord(tmp_path / "record.sqlite3") as record:
        stage = SegmenterStage(
            frames=FrameFiles(tmp_path / "frames", ReadLimits()),
            record=record,
            labels=FileLabels(tmp_path / "masks"),
            load=lambda: Chosen(segmenter, "eager", None, ()),  # type: ignore[arg-type]
            partitions=1,
        )
        stage.warm_up()
        outcomes = stage.process([first, lost, second, first, lost])
        stage.close()

    assert segmenter.seen == 2
    assert [type(outcome) for outcome in outcomes] == [Done, Reject, Done, Done, Reject]
    assert outcomes[0] == outcomes[3] != outcomes[2]
