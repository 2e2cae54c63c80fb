"""Where an alarm stands and how it came there, as facts that are stored."""

from pydantic import AwareDatetime

from monitor.frames.identity import Name
from monitor.messages import AlarmChanged, AlarmStatus, Channel, Digest, Fact


class AlarmTransition(Fact):
    """That an alarm came to stand elsewhere: who, when, why, and the row that made it."""

    transition_id: Digest
    flask: Name
    channel: Channel
    before: AlarmStatus
    after: AlarmStatus
    at: AwareDatetime
    by: str
    why: str
    row_id: Digest


class AlarmStanding(Fact):
    """Where an alarm stands that is not normal, since when, by whom and why; `raised` is the event that raised it."""

    flask: Name
    channel: Channel
    status: AlarmStatus
    since: AwareDatetime
    by: str
    why: str
    shelved_until: AwareDatetime | None
    raised: AlarmChanged | None
