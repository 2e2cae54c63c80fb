"""Who a frame is: the key that names it and the digest that identifies its content."""

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A flask, position or channel as the operator wrote it; never empty."""

FrameId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""sha256 of the file's bytes in lower-case hex: the same content is the same frame, wherever it lies."""


class FrameKey(BaseModel):
    """Where and when a frame was taken: flask, position (field of view), channel and time point.

    `time_point` is the label that the layout found, `20260310T120000Z` or `t000012`; the time itself travels
    beside the key as `acquired_at`.

    >>> str(FrameKey(flask="A1", position="p2", time_point="20260310T120000Z"))
    'A1/p2/phase/20260310T120000Z'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flask: Name
    position: Name
    channel: Name = "phase"
    time_point: Name

    def __str__(self) -> str:
        return f"{self.flask}/{self.position}/{self.channel}/{self.time_point}"


def frame_id_of(path: Path) -> str:
    """Return the sha256 of a file's bytes as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
