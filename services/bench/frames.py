"""Simulated frames on disk, each of its own content and name, to be moved into a watched folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from monitor.synthetic.culture import Culture, CultureSpec
from services.chain.simulated_file import write_frame

FLASKS = 4
DIFFERENT = 4
"""Pictures that are simulated; the others are these with a few pixels changed, which makes them frames of their own."""
COVERED = 0.4
"""Confluency: neither the nearly empty frame that is quick to decode nor the crowd that is slow."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A frame that lies ready: its file, and its name below the watched folder."""

    file: Path
    name: str


class FrameSource:
    """Writes frames of one size.

    Parameters
    ----------
    side_px, pixel_size_um
        Of the frames; square.
    """

    def __init__(self, side_px: int, pixel_size_um: float) -> None:
        spec = CultureSpec(
            "bench",
            seed=11,
            shape_px=(side_px, side_px),
            pixel_size_um=pixel_size_um,
            covered=COVERED,
            interval_s=900.0,
        )
        self._culture = Culture(spec)
        self._pictures = [self._culture.frame("p1", index) for index in range(DIFFERENT)]
        self._written = 0

    @property
    def frame_bytes(self) -> int:
        """Size of a frame's pixels."""
        return self._pictures[0].pixels.nbytes

    def stage(self, folder: Path, count: int) -> list[Staged]:
        """Write the next `count` frames below a folder."""
        return [self._next(folder) for _ in range(count)]

    def _next(self, folder: Path) -> Staged:
        number = self._written
        self._written += 1
        picture = self._pictures[number % DIFFERENT]
        pixels = picture.pixels.copy()
        pixels[0, :2] = divmod(number, 60_000)
        moment = self._culture.acquired_at(number // FLASKS)
        name = f"F{number % FLASKS}/p1/{moment:%Y%m%dT%H%M%SZ}.tif"
        write_frame(replace(picture, pixels=pixels), folder / name)
        return Staged(folder / name, name)


def publish(staged: Sequence[Staged], watch: Path) -> None:
    """Move frames into a watched folder under their names, as if each were written to up to this moment."""
    for frame in staged:
        target = watch / frame.name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.utime(frame.file)  # a file that has long been quiet counts as complete at once
        frame.file.rename(target)
