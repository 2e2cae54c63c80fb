"""The topology: which streams there are, what is in them, and which group of workers works each off."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Route:
    """A stream that one group of workers works off, or several such streams that share the flasks.

    name: of the stream, without the installation's prefix; group: of the workers that read it; partitioned: whether
    there is one stream for each partition of the flasks, so that a flask's events stay in order.
    """

    name: str
    group: str
    partitioned: bool = False

    def stream(self, flask: str = "", partitions: int = 1) -> str:
        """Return the stream that an event of a flask goes into.

        >>> FRAMES.stream("A1", 4), FLASK_EVENTS.stream("A1", 4)
        ('frames', 'flask_events.1')
        """
        return f"{self.name}.{partition_of(flask, partitions)}" if self.partitioned else self.name

    def streams(self, partitions: int, *, replica: int = 0, replicas: int = 1) -> list[str]:
        """Return all streams of the route, or the share of one of several workers."""
        if not self.partitioned:
            return [self.name]
        return [f"{self.name}.{number}" for number in range(partitions) if number % replicas == replica % replicas]


FRAMES = Route("frames", group="segmenter")
"""Frames that arrived."""
FLASK_EVENTS = Route("flask_events", group="predictor", partitioned=True)
"""What becomes a row of a flask's history: segmented frames, silences, conditions, operators' actions."""
ALARMS = Route("alarms", group="notifier")
"""Changes of alarms, for people."""
ROUTES = (FRAMES, FLASK_EVENTS, ALARMS)

ESTIMATES = "estimates"
"""The newest estimates, for whoever wants to follow them; the record holds all of them."""
DEAD = "dead"
"""What no worker could bring to an end."""
CAPPED = {ESTIMATES: 100_000}
"""Streams that nobody works off hold so many entries; the others are never trimmed."""
FORMER = {FLASK_EVENTS: "segmented"}
"""What routes were called in cellvigil 0.1.0, whose queue may hold entries yet."""


class Queues(Protocol):
    """The part of a bus that says what waits."""

    def waiting(self, stream: str, group: str) -> int:
        """Return how many entries wait or are in hand."""


def waiting_in(bus: Queues, partitions: int, routes: Sequence[Route] = ROUTES) -> dict[str, int]:
    """Return how many entries wait or are in hand in every stream of some routes. Raises `BackPressure`."""
    return {stream: bus.waiting(stream, route.group) for route in routes for stream in route.streams(partitions)}


def renamed(stream: str) -> str:
    """Return what a stream is called now.

    >>> renamed("segmented.3"), renamed("frames")
    ('flask_events.3', 'frames')
    """
    for route, former in FORMER.items():
        if stream.startswith(f"{former}."):
            return f"{route.name}.{stream.removeprefix(f'{former}.')}"
    return stream


def partition_of(flask: str, partitions: int) -> int:
    """Return the partition of a flask, the same on every machine and in every version.

    >>> partition_of("A1", 4)
    1
    """
    return zlib.crc32(flask.encode("utf-8", "surrogatepass")) % partitions
