"""Names of the streams, without the installation's prefix."""

import zlib

FRAMES = "frames"
ESTIMATES = "estimates"
DRIFTS = "drifts"
ALARMS = "alarms"
DEAD = "dead"

CAPPED = {ESTIMATES: 100_000, DRIFTS: 100_000}
"""Streams that nobody works off: the record holds their facts, the stream only the newest. Others are never trimmed."""


def segmented(partition: int) -> str:
    """Return the stream that carries the segmented frames of one partition of the flasks."""
    return f"segmented.{partition}"


def partition_of(flask: str, partitions: int) -> int:
    """Return the partition of a flask, the same on every machine and in every version.

    >>> partition_of("A1", 4)
    1
    """
    return zlib.crc32(flask.encode("utf-8", "surrogatepass")) % partitions
