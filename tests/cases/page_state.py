"""A state folder with everything that the page must show: a wall of flasks, pictures with outlines, and hard names.

Pictures are phantoms with their true outlines in place of a network's; features, estimates, fold and alarms are real.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import tifffile
from cases.phantoms import phantom
from cases.wall_fleet import INTERVAL, record_wall, wall_plans
from numpy.typing import NDArray

from monitor.culture.rows import CultureRow, OperatorRow
from monitor.culture.settings import CultureSettings
from monitor.frames.frame import Frame
from monitor.frames.identity import FrameKey
from monitor.messages import BlobRef, FrameArrived, FrameQuality, FrameSegmented, OperatorActed, SegmentedBy
from monitor.pipeline import Masks, measure_frame
from monitor.potency.model import DEMO, PotencyModel, load_model
from services.state_folder import StateFolder
from services.store.ledger import Ledger
from services.store.ledger_row import LedgerRow
from services.store.record_sqlite import SqliteRecord
from services.transport.file_blobs import FileLabels
from services.workers.predictor import FlaskFolder

HARD_FLASK = 'T75 "late" 🧫 <b>7</b>'
HARD_FILE = "<img src=x onerror=alert(1)>"
SEEN = "Seen-1"
EMPTY = "Empty-1"
FLASKS = 24
BIG_SIDE = 4096
WALL_FRAMES = 120
ENGINE = SegmentedBy(engine="eager-cpu-float32", engine_digest="e" * 64, weights_digest="a" * 64)


@dataclass(frozen=True, slots=True)
class Picture:
    """Where and when a picture was taken, and the seed of what is on it."""

    flask: str
    position: str
    at: datetime
    seed: int
    stem: str
    reason: str | None = None
    tiles: int = 1


def pictures(end: datetime) -> list[Picture]:
    """Return five frames of a flask, one of them out of focus; one with a hard name; one of 4096 x 4096 pixels."""
    found = []
    for number in range(5):
        at = end - (5 - number) * INTERVAL
        reason = "out_of_focus" if number == 3 else None
        found.append(Picture(SEEN, "p1", at, number, f"{at:%Y%m%dT%H%M%SZ}", reason))
    found.append(Picture(HARD_FLASK, "p1", end + timedelta(seconds=1), 7, HARD_FILE))
    big = BIG_SIDE // 512
    earlier = end - 4 * INTERVAL
    found.append(Picture(SEEN, "wide <p2>", earlier, 8, f"{earlier:%Y%m%dT%H%M%SZ}", None, big))
    return found


def make_page_state(home: Path, end: datetime, wall_frames: int = WALL_FRAMES) -> StateFolder:
    """Make state and watched folder under `home`; the newest frames are of `end`."""
    state = record_wall(home / "state", wall_plans(FLASKS - 2), wall_frames, end)
    record_pictures(home, state, pictures(end), end)
    with Ledger(state.ledger) as ledger:
        empty = _arrived(Picture(EMPTY, "p1", end, 9, "first"), b"", (256, 256), 1.1)
        ledger.add([_in_ledger(empty), _refused(home / "frames")], end)
    return state


def record_pictures(home: Path, state: StateFolder, taken: Sequence[Picture], end: datetime) -> None:
    """Write pictures into the watched folder `home / "frames"`, and into a state folder what a run keeps of them."""
    watch = home / "frames"
    (state.root / "settings.json").write_text(f'{{"watch": {{"folder": "{watch.as_posix()}"}}}}')
    model = load_model(DEMO, rehearse=False)
    folder = FlaskFolder(CultureSettings())
    with SqliteRecord(state.record) as record, Ledger(state.ledger) as ledger:
        for picture in taken:
            fact, row = _seen(picture, watch, state, model)
            record.put_segmentations([fact])
            ledger.add([_in_ledger(fact.frame)], end)
            bring_in(record, folder, row)


def bring_in(record: SqliteRecord, folder: FlaskFolder, row: CultureRow) -> None:
    """Do to a row what a predictor does."""
    with record.flask(row.flask) as transaction:
        folder.bring_in(row.flask, row, transaction)


def take_in_actions(state: StateFolder) -> list[OperatorActed]:
    """Make operators' waiting actions part of the history, as a running chain does."""
    folder = FlaskFolder(CultureSettings())
    with SqliteRecord(state.record) as record:
        acted = record.waiting_actions()
        for one in acted:
            bring_in(record, folder, OperatorRow.of(one))
    return acted


def _seen(picture: Picture, watch: Path, state: StateFolder, model: PotencyModel) -> tuple[FrameSegmented, CultureRow]:
    one = phantom(picture.seed, shape_px=(512, 512))
    tiles = picture.tiles
    pixels = np.tile(one.pixels, (tiles, tiles))
    content = _tiff(pixels, one.pixel_size_um)
    arrived = _arrived(picture, content, pixels.shape, one.pixel_size_um)
    file = watch / arrived.source
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    quality = FrameQuality(
        focus=0.2 if picture.reason else 1.0,
        illumination=0.05,
        saturated_fraction=0.0,
        confluency=float((one.cells > 0).mean()),
        doubt=0.08,
        passes=picture.reason is None,
        reason=picture.reason,
    )
    masks = Masks(one.cells, one.nuclei, quality, ENGINE)
    frame = Frame(one.pixels, one.pixel_size_um)
    row = measure_frame(arrived, frame, masks, model, min_cells=8, configuration="c" * 64)
    labels = FileLabels(state.masks)
    fact = FrameSegmented(
        frame=arrived,
        cells=labels.put(arrived.frame_id, "cells", _repeated(one.cells, tiles), one.pixel_size_um),
        nuclei=labels.put(arrived.frame_id, "nuclei", _repeated(one.nuclei, tiles), one.pixel_size_um),
        n_cells=int(one.cells.max()) * tiles**2,
        n_nuclei=int(one.nuclei.max()) * tiles**2,
        quality=quality,
        **ENGINE.fields(),
    )
    return fact, row


def _repeated(labels: NDArray[np.int32], tiles: int) -> NDArray[np.int32]:
    most = int(labels.max())
    numbers = np.arange(tiles**2, dtype=np.int32).reshape(tiles, tiles) * most
    shift = np.kron(numbers, np.ones(labels.shape, np.int32))
    whole = np.tile(labels, (tiles, tiles))
    return np.where(whole > 0, whole + shift, 0).astype(np.int32)


def _tiff(pixels: NDArray[np.uint16], pixel_size_um: float) -> bytes:
    per_cm = 10_000.0 / pixel_size_um
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER", metadata=None)
    return buffer.getvalue()


def _arrived(picture: Picture, content: bytes, shape: tuple[int, ...], pixel_size_um: float) -> FrameArrived:
    frame_id = hashlib.sha256(content or picture.stem.encode()).hexdigest()
    folder = hashlib.sha256(picture.flask.encode()).hexdigest()[:8]
    return FrameArrived(
        frame_id=frame_id,
        key=FrameKey(flask=picture.flask, position=picture.position, time_point=picture.stem),
        pixels=BlobRef(store="watch", path=f"{folder}/{picture.position[:4]}/{picture.stem}.tif", sha256=frame_id),
        shape_px=(shape[0], shape[1]),
        dtype="uint16",
        pixel_size_um=pixel_size_um,
        acquired_at=picture.at,
        arrived_at=picture.at + timedelta(seconds=4),
    )


def _in_ledger(arrived: FrameArrived) -> LedgerRow:
    return LedgerRow(arrived.source, 1000, 1, arrived.frame_id, "queued", "", "", arrived)


def _refused(watch: Path) -> LedgerRow:
    source = 'bad/<script>alert("2")</script>.tif'
    detail = "the file ends before its picture does; copy it again"
    file = watch / source
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"II*\x00\x08\x00\x00\x00")
    return LedgerRow(source, 8, 1, "", "quarantined", "truncated", detail, None)
