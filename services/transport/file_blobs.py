"""Label images as compressed TIFF files in a folder, written whole or not at all."""

import hashlib
import io
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from monitor.errors import BackPressure, FrameRejected
from monitor.messages import BlobRef
from monitor.whole_file import write_whole


class FileLabels:
    """A folder of label images, `ab/abcdef..._cells.tif`, spread over 256 sub-folders by frame_id.

    Files are zlib-compressed uint16 TIFF (int32 above 65,535 labels), 0 is background, pixel size in the resolution
    tags; any viewer opens them. A file is written beside its place, flushed to the disk and then renamed, so a
    reader sees all of it or nothing; writing the same labels twice gives the same bytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, frame_id: str, name: str, labels: NDArray[np.integer], pixel_size_um: float) -> BlobRef:
        """Store a (Y, X) label image under the frame's id; storing the same labels again gives the same reference."""
        relative = f"{frame_id[:2]}/{frame_id}_{name}.tif"
        content = _encode(labels, pixel_size_um)
        target = self._folder / relative
        try:
            write_whole(target, content)
        except OSError as error:
            message = f"label image {target} cannot be written now: {error}; free disk space or mend the folder"
            raise BackPressure(message, reason="masks") from error
        return BlobRef(store="masks", path=relative, sha256=hashlib.sha256(content).hexdigest())

    def get(self, reference: BlobRef) -> NDArray[np.int32]:
        """Return the label image; raises `FrameRejected` when it is gone or is not what was stored."""
        path = self.path_of(reference)
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            message = f"label image {path} is gone; run the frame again with `cellvigil run` on a new state folder"
            raise FrameRejected(message, reason="labels_gone") from error
        if hashlib.sha256(content).hexdigest() != reference.sha256:
            message = f"label image {path} was changed after it was stored; restore it or start a new state folder"
            raise FrameRejected(message, reason="labels_changed")
        labels: NDArray[np.int32] = tifffile.imread(io.BytesIO(content)).astype(np.int32)
        return labels

    def path_of(self, reference: BlobRef) -> Path:
        """Return the file of a reference, for people who want to open it."""
        return self._folder / reference.path


def _encode(labels: NDArray[np.integer], pixel_size_um: float) -> bytes:
    dtype = np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.int32
    per_cm = 10_000.0 / pixel_size_um
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        labels.astype(dtype),
        compression="zlib",
        photometric="minisblack",
        resolution=(per_cm, per_cm),
        resolutionunit="CENTIMETER",
        metadata=None,
    )
    return buffer.getvalue()
