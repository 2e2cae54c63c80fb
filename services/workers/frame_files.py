"""The watched folder as workers read it: a frame by its fact, every failure a named error."""

import os
from pathlib import Path

from monitor.errors import FrameNotReady, FrameRejected
from monitor.frames.frame import Frame
from monitor.frames.identity import frame_id_of
from monitor.frames.reader import ReadLimits, read_frame
from monitor.messages import FrameArrived
from services.transport.shared_memory import RingReader


class FrameFiles:
    """Opens frames below one root and nowhere else.

    Parameters
    ----------
    ring
        Asked first, when there is one: the pixels are there as the ingester decoded them.
    """

    def __init__(self, root: Path, limits: ReadLimits, ring: RingReader | None = None) -> None:
        self._root = root
        self._limits = limits
        self._ring = ring

    def read(self, arrived: FrameArrived) -> Frame:
        """Return the pixels of a frame that arrived.

        Raises
        ------
        FrameNotReady
            The folder cannot be read now (a network share that dropped); trying again may help.
        FrameRejected
            The file is gone (`vanished`), holds other content than was queued (`replaced`), or is no frame.
        """
        path = self._root / arrived.pixels.path
        at_hand = self._at_hand(path, arrived)
        if at_hand is not None:
            return at_hand
        try:
            frame = read_frame(path, root=self._root, pixel_size_um=arrived.pixel_size_um, limits=self._limits)
            found = frame_id_of(path)
        except FileNotFoundError as error:
            if not self._is_there():
                message = f"{arrived.source} cannot be read now: the watched folder is away or empty; mount it again"
                raise FrameNotReady(message, reason="unreadable") from error
            message = f"{arrived.source} was deleted before it was read; copy it back if it is needed"
            raise FrameRejected(message, reason="vanished") from error
        except OSError as error:
            raise FrameNotReady(f"{arrived.source} cannot be read now: {error}", reason="unreadable") from error
        if found != arrived.frame_id:
            message = f"{arrived.source} was replaced after it was queued; its new content is a frame of its own"
            raise FrameRejected(message, reason="replaced")
        return Frame(pixels=frame.pixels, pixel_size_um=arrived.pixel_size_um)

    def _at_hand(self, path: Path, arrived: FrameArrived) -> Frame | None:
        """Return the frame from the ring, as long as its file lies there as it was decoded."""
        if self._ring is None:
            return None
        try:
            frame = self._ring.get(arrived.frame_id, path.lstat())
        except OSError:
            return None  # reading it says what is wrong
        if frame is None or (frame.shape, frame.pixels.dtype.name) != (arrived.shape_px, arrived.dtype):
            return None
        return Frame(pixels=frame.pixels, pixel_size_um=arrived.pixel_size_um)

    def _is_there(self) -> bool:
        """Whether the root holds anything: the place of a share that is away is an empty folder, or none."""
        try:
            with os.scandir(self._root) as entries:
                return any(True for _ in entries)
        except OSError:
            return False
