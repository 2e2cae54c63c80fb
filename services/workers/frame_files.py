"""The watched folder as workers read it: a frame by its fact, every failure a named error."""

import os
from pathlib import Path

from monitor.errors import FrameNotReady, FrameRejected
from monitor.frames.frame import Frame
from monitor.frames.identity import frame_id_of
from monitor.frames.reader import ReadLimits, read_frame
from monitor.messages import FrameArrived


class FrameFiles:
    """Opens frames below one root and nowhere else."""

    def __init__(self, root: Path, limits: ReadLimits) -> None:
        self._root = root
        self._limits = limits

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

    def _is_there(self) -> bool:
        """Whether the root holds anything: the place of a share that is away is an empty folder, or none."""
        try:
            with os.scandir(self._root) as entries:
                return any(True for _ in entries)
        except OSError:
            return False
