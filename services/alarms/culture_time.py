"""What time it is in a flask, and whose time on the shelf is over by it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from monitor.culture.alarms import ITSELF
from monitor.culture.standing import AlarmStanding
from monitor.messages import MACHINE, OperatorActed, OperatorAction
from services.store.ledger_row import LastArrival


def culture_time(flask: str, newest: datetime | None, arrivals: Mapping[str, LastArrival], now: datetime) -> datetime:
    """Return the flask's own time of this moment: its last frame's, and as long after it as that frame has been here.

    So an action falls into place among frames that are acquired now, and among those of an old series that is played.
    It is never before `newest`, the time of the flask's newest row; the machine's time is that of the clock.
    """
    times = [] if newest is None else [newest + timedelta(microseconds=1)]
    last = arrivals.get(flask)
    if last is not None:
        times.append(last.acquired_at + max(timedelta(0), now - last.arrived_at))
    if flask == MACHINE or not times:
        times.append(now)
    return max(times)


def shelves_that_end(
    standings: Sequence[AlarmStanding], arrivals: Mapping[str, LastArrival], now: datetime
) -> Iterator[OperatorActed]:
    """Yield what takes alarms back from the shelf whose time is over though no row of their flask has said so."""
    for standing in standings:
        until = standing.shelved_until
        if until is None or culture_time(standing.flask, None, arrivals, now) < until:
            continue
        text = "\x1f".join(("shelf", standing.flask, standing.channel, until.isoformat()))
        yield OperatorActed(
            action_id=hashlib.sha256(text.encode()).hexdigest()[:32],
            flask=standing.flask,
            channel=standing.channel,
            action=OperatorAction.UNSHELVE,
            at=until,
            acted_at=until,
            by=ITSELF,
            why="its time was over",
        )
