"""Blobs: bytes by reference, so that pixels and label images never travel inside a stream entry."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.messages import BlobRef


class LabelStore(Protocol):
    """Where label images are kept."""

    def put(self, frame_id: str, name: str, labels: NDArray[np.integer], pixel_size_um: float) -> BlobRef:
        """Store a (Y, X) label image under the frame's id; storing the same labels again gives the same reference."""

    def get(self, reference: BlobRef) -> NDArray[np.int32]:
        """Return the label image; raises `FrameRejected` when it is gone or is not what was stored."""

    def path_of(self, reference: BlobRef) -> Path:
        """Return the file of a reference, for people who want to open it."""
