"""What a series of frames says of a flask: who its cells are from frame to frame, how they move, how fast they grow."""

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from monitor.errors import FrameRejected
from monitor.features.featurizer import FrameFeatures
from monitor.features.growth import Count, growth
from monitor.features.motility import Follower, Track, motility
from monitor.features.tracking import Cells
from monitor.frames.sample import Sample
from services.tables.files import Row, Value
from services.tables.rows import sample_columns
from services.tables.sources import Source


@dataclass(slots=True)
class Flask:
    """A flask as its frames come, position after position and in order of time.

    began: hours of its first frame, None where images tell no time.
    """

    name: str
    sample: Sample | None
    gate_um: float
    began: float | None
    frames: int = 0
    _counts: list[Count] = field(default_factory=list)
    _tracks: list[Track] = field(default_factory=list)
    _follower: Follower | None = None
    _place: tuple[str, str] | None = None
    _last_hours: float | None = None
    _places: set[str] = field(default_factory=set)
    _moments: list[datetime] = field(default_factory=list)
    _hours: set[float] = field(default_factory=set)
    _population: dict[str, list[float]] = field(default_factory=dict)
    _used: int = 0

    def check(self, source: Source) -> None:
        """Refuse a second frame of one position, channel and time.

        Raises
        ------
        FrameRejected
            `same_time`, naming the place and the mend.
        """
        key = source.key
        if key is None or source.hours is None:
            return
        if (key.position, key.channel) == self._place and source.hours == self._last_hours:
            message = f"an earlier image is of {key} too; leave one of them out"
            raise FrameRejected(message, reason="same_time")

    def take(self, source: Source, features: FrameFeatures, *, passes: bool) -> dict[str, list[Value]]:
        """Take the next frame; return track, mother_track and speed of its cells, empty where none can be followed.

        Frames that are not to be relied on count for nothing, and cells are not followed through them.
        """
        key = source.key
        if key is None:
            return {}
        self.frames += 1
        self._places.add(key.position)
        if source.acquired_at is not None:
            self._moments.append(source.acquired_at)
        if passes:
            self._used += 1
            for name, value in features.population.items():
                self._population.setdefault(name, []).append(value)
        if source.hours is None:
            return {}
        self._hours.add(source.hours)
        if (key.position, key.channel) != self._place:
            self._close()
            self._place = (key.position, key.channel)
        self._last_hours = source.hours
        if not passes:
            return {}
        place = f"{key.position}/{key.channel}"
        self._counts.append(Count(place, source.hours, features.population["cell_density"]))
        if self._follower is None:
            self._follower = Follower(self.gate_um, self._next_number())
        y, x = features.centroids_um.T
        followed = self._follower.follow(Cells(y, x, features.cells["area"]), source.hours)
        return {
            "track": followed.track.tolist(),
            "mother_track": [int(mother) or None for mother in followed.mother],
            "speed": followed.speed.tolist(),
        }

    def row(self) -> Row | None:
        """Return the flask's row, None without a frame; growth and motion are empty where all are of one time."""
        self._close()
        if not self.frames:
            return None
        found: dict[str, Value] = {
            "flask": self.name,
            "positions": len(self._places),
            "frames": self.frames,
            "frames_used": self._used,
            "first_at": min(self._moments).isoformat() if self._moments else None,
            "last_at": max(self._moments).isoformat() if self._moments else None,
            "series_hours": max(self._hours) - min(self._hours) if self._hours else None,
        }
        typical = {name: float(np.median(values)) for name, values in self._population.items()}
        return found | sample_columns(self.sample) | typical | growth(self._counts) | self._moved()

    def _moved(self) -> dict[str, Value]:
        found: dict[str, Value] = {**motility(self._tracks)}
        return found

    def _close(self) -> None:
        if self._follower is not None:
            self._tracks += self._follower.tracks
        self._follower = None

    def _next_number(self) -> int:
        return max((track.number for track in self._tracks), default=0) + 1


def hours_since_seeding(sample: Sample | None, moment: datetime | None) -> float:
    """Return the time of a frame since its flask was seeded, NaN where one of the two is unknown."""
    if sample is None or sample.seeded_at is None or moment is None:
        return float(np.nan)
    return (moment - sample.seeded_at).total_seconds() / 3600.0
