"""A segmenter as teacher, its looks kept on the disk: a run cut into slices asks for the same ones each time."""

import hashlib
from pathlib import Path

import numpy as np

from monitor.errors import FrameRejected
from monitor.frames.frame import Frame
from monitor.segmentation.segmenter import Segmenter
from monitor.training.teacher import Look, Seen
from monitor.whole_file import replacing

BYTE = np.float32(255.0)
"""Virtual stains are kept in 8 bits."""


def look_of(segmenter: Segmenter, folder: Path) -> Look:
    """Return a segmenter as a teacher that keeps what it saw in a folder, by pixels, scale, weights and engine."""
    folder.mkdir(parents=True, exist_ok=True)

    def look(frame: Frame) -> Seen | None:
        identity = f"{segmenter.weights_digest}|{segmenter.engine_digest}|{frame.pixel_size_um}|{frame.pixels.dtype}"
        name = hashlib.sha256(identity.encode() + np.ascontiguousarray(frame.pixels).tobytes()).hexdigest()
        file = folder / f"{name}.npz"
        if not file.exists():
            try:
                found, stain = segmenter.segment_and_stain(frame)
            except FrameRejected:
                return None
            with replacing(file) as part, part.open("wb") as stream:
                np.savez_compressed(
                    stream,
                    cells=found.cells,
                    stain=np.round(stain * BYTE).astype(np.uint8),
                    reliable=np.array(found.quality.passes),
                )
        with np.load(file, allow_pickle=False) as kept:
            return Seen(kept["cells"], kept["stain"].astype(np.float32) / BYTE, bool(kept["reliable"]))

    return look
