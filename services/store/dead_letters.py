"""Dead letters: what no worker could bring to an end, kept whole, and how it is tried again."""

from dataclasses import dataclass

from monitor.errors import SettingsError
from monitor.messages import FrameArrived, FrameFailed, FrameSegmented, Parked
from services.transport.bus import Bus, StreamEntry
from services.transport.codec import UnknownMessage, decode, encode
from services.transport.streams import DEAD, FLASK_EVENTS, FRAMES, renamed


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter; told is what it says, None of one that this version cannot read."""

    letter: StreamEntry
    told: FrameFailed | Parked | None

    @property
    def since_ms(self) -> int:
        """When it became one, in milliseconds since 1970."""
        return int(self.letter.entry_id.partition("-")[0])


def dead_letters(bus: Bus, after: str, count: int) -> list[DeadLetter]:
    """Return dead letters behind the one named `after`, oldest first. Raises `BackPressure`."""
    return [DeadLetter(letter, _told(letter)) for letter in bus.letters(DEAD, after, count)]


def find_dead_letter(bus: Bus, entry_id: str) -> DeadLetter | None:
    """Return a dead letter by its name; None when it is gone. Raises `BackPressure`."""
    milliseconds, _, number = entry_id.partition("-")
    if not (milliseconds.isdigit() and number.isdigit()) or len(entry_id) > 40:
        return None
    before = f"{milliseconds}-{int(number) - 1}" if int(number) else f"{int(milliseconds) - 1}-{2**63}"
    found = dead_letters(bus, before, 1)
    return found[0] if found and found[0].letter.entry_id == entry_id else None


def requeue(
    bus: Bus,
    dead: DeadLetter,
    arrived: FrameArrived | None,
    fact: FrameSegmented | None,
    partitions: int,
) -> str | None:
    """Put a dead letter into the stream that it failed in; return that stream, None when the letter is gone by now.

    Parameters
    ----------
    arrived, fact
        What ledger and record hold of the frame.

    Raises
    ------
    SettingsError
        Nothing is known of the frame any more, or the letter cannot be read.
    BackPressure
        The queue refuses; the letter stays.
    """
    stream, key, payload = _again(dead, arrived, fact, partitions)
    return stream if bus.put_back(dead.letter, stream, key, payload) else None


def _again(
    dead: DeadLetter, arrived: FrameArrived | None, fact: FrameSegmented | None, partitions: int
) -> tuple[str, str, bytes]:
    told = dead.told
    if isinstance(told, Parked):
        return renamed(told.stream), told.key, told.payload.encode("utf-8", "surrogatepass")
    if told is None:
        message = "this version cannot read the letter; it is kept for one that does"
        raise SettingsError(message, reason="unreadable_letter")
    # what was segmented goes to the predictor; what was not begins at the segmenter
    if fact is not None and told.stage != FRAMES.group:
        stream = FLASK_EVENTS.stream(fact.frame.key.flask, partitions)
        return stream, f"segmented:{told.frame_id}", encode(fact)
    if arrived is None:
        message = f"the ledger holds no frame {told.frame_id[:12]}; put its file into the watched folder again"
        raise SettingsError(message, reason="frame")
    return FRAMES.stream(), f"frame:{told.frame_id}", encode(arrived)


def _told(letter: StreamEntry) -> FrameFailed | Parked | None:
    try:
        message = decode(letter.payload)
    except UnknownMessage:
        return None
    return message if isinstance(message, FrameFailed | Parked) else None
