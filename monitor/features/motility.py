"""How cells move and divide over a series of frames of one position, in micrometres and hours."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from monitor.features.catalogue import Feature
from monitor.features.label_runs import Vector
from monitor.features.tracking import Cells, Indices, link

LEAST_STEPS = 4
"""A track needs so many steps to say how straight it is: a path of one step always is."""

MOTION = (
    Feature(
        "speed", "um/h", "distance of the centroid from where the cell was in the frame before, per hour", "tracks"
    ),
)
"""What a cell has by its track; NaN in its first frame."""

MOTILITY = (
    Feature("speed", "um/h", "median over tracks of path length over duration", "tracks"),
    Feature(
        "persistence", "1", "median over tracks of end-to-end distance over path length", "Gorelik & Gautreau 2014"
    ),
    Feature("division_rate", "1/h", "divisions seen, over the hours that cells were followed", "tracks"),
    Feature("tracks", "1", "cells followed over two frames or more", "tracks"),
)
"""What a series of frames has; absent where nothing could be followed."""


@dataclass(slots=True)
class Track:
    """Where one cell was: number of the track, that of its mother or 0, and hours, y_um, x_um of each frame."""

    number: int
    mother: int
    hours: list[float] = field(default_factory=list)
    y_um: list[float] = field(default_factory=list)
    x_um: list[float] = field(default_factory=list)

    @property
    def steps_um(self) -> Vector:
        """Distance from frame to frame, one less than frames."""
        return np.hypot(np.diff(self.y_um), np.diff(self.x_um))

    @property
    def duration_h(self) -> float:
        """Hours from first to last frame."""
        return self.hours[-1] - self.hours[0]


@dataclass(frozen=True, slots=True)
class Followed:
    """Cells of a frame as followed: track, mother (N,) int64, from 1 on, 0 for no mother; speed (N,) um/h."""

    track: Indices
    mother: Indices
    speed: Vector


class Follower:
    """Follows the cells of one position from frame to frame, in order of time.

    Parameters
    ----------
    gate_um
        No cell moves further than this between two frames.
    first_number
        Number of the first track, so that positions may count on from one another.
    """

    def __init__(self, gate_um: float, first_number: int = 1) -> None:
        self.tracks: list[Track] = []
        self.next_number = first_number
        self._gate_um = gate_um
        self._before: tuple[Cells, list[Track], float] | None = None

    def follow(self, cells: Cells, hours: float) -> Followed:
        """Take the next frame.

        Raises
        ------
        ValueError
            When `hours` are not after those of the frame before.
        """
        count = len(cells.y_um)
        if self._before is None:
            own = [self._begun(0) for _ in range(count)]
            speed = np.full(count, np.nan)
        else:
            before, tracks, then = self._before
            if hours <= then:
                raise ValueError(f"the frame of hour {hours} comes after that of hour {then}; sort them by time")
            links = link(before, cells, self._gate_um)
            own = [
                tracks[old] if old >= 0 else self._begun(tracks[mother].number if mother >= 0 else 0)
                for old, mother in zip(links.same, links.mother, strict=True)
            ]
            source = np.where(links.same >= 0, links.same, links.mother)
            moved = np.full(count, np.nan)
            known = source >= 0
            places = before.places[source[known]]
            moved[known] = np.hypot(*(cells.places[known] - places).T)
            speed = moved / (hours - then)
        for track, y, x in zip(own, cells.y_um, cells.x_um, strict=True):
            track.hours.append(hours)
            track.y_um.append(float(y))
            track.x_um.append(float(x))
        self._before = cells, own, hours
        numbers = np.array([track.number for track in own], np.int64)
        return Followed(numbers, np.array([track.mother for track in own], np.int64), speed)

    def _begun(self, mother: int) -> Track:
        track = Track(self.next_number, mother)
        self.tracks.append(track)
        self.next_number += 1
        return track


def motility(tracks: Sequence[Track]) -> dict[str, float]:
    """Return what `MOTILITY` names of tracks of any number of positions; absent where nothing was followed.

    Noise of the outlines counts as path: cells that stand still have a speed of about their centroid error per
    interval, and a persistence near zero.
    """
    followed = [track for track in tracks if len(track.hours) >= 2]
    if not followed:
        return {}
    speeds = [track.steps_um.sum() / track.duration_h for track in followed]
    divisions = len({track.mother for track in tracks if track.mother})
    found = {
        "speed": float(np.median(speeds)),
        "division_rate": divisions / sum(track.duration_h for track in followed),
        "tracks": float(len(followed)),
    }
    straight = [_straightness(track) for track in followed if len(track.hours) > LEAST_STEPS]
    known = [value for value in straight if np.isfinite(value)]
    if known:
        found["persistence"] = float(np.median(known))
    return found


def _straightness(track: Track) -> float:
    path = float(track.steps_um.sum())
    end_to_end = float(np.hypot(track.y_um[-1] - track.y_um[0], track.x_um[-1] - track.x_um[0]))
    return end_to_end / path if path > 0.0 else float("nan")
