"""Whether a flask is still seen as it was: from as many positions, and as pictures that change."""

from monitor.culture.rows import FrameRow

POSITIONS_MOST = 256
"""A flask with more names of positions than this is not watched for missing ones: memory stays constant."""
SEEN_LEAST = 2
"""Frames that a position must have had before it can be missed."""


class PositionsWatch:
    """Counts rounds of the scan and says which positions were left out of the last ones.

    A round is one more frame of the position that has most of them; nothing needs to be known of rhythm or number.

    Parameters
    ----------
    after
        Whole rounds without a frame after which a position is missing; the one under way does not count.
    """

    def __init__(self, after: int) -> None:
        self._after = after
        self._frames: dict[str, int] = {}
        self._round_of: dict[str, int] = {}
        self._round = 0

    def note(self, row: FrameRow) -> list[str]:
        """Take a frame; return the positions that are missing now, sorted."""
        position = row.key.position
        if position not in self._frames and len(self._frames) >= POSITIONS_MOST:
            return []
        count = self._frames.get(position, 0) + 1
        self._frames[position] = count
        self._round = max(self._round, count)
        if self._round - count > self._after:  # one that joined later, or came back, counts as of now
            self._frames[position] = self._round
        self._round_of[position] = self._round
        return self.missing()

    def missing(self) -> list[str]:
        """Return the positions that are missing, sorted."""
        if len(self._frames) < 2:
            return []
        late = self._round - self._after
        return sorted(p for p, last in self._round_of.items() if last < late and self._frames[p] >= SEEN_LEAST)

    def forget(self) -> None:
        """Take it that the missing positions will not come back."""
        for position in self.missing():
            del self._frames[position], self._round_of[position]


class FrozenWatch:
    """Finds positions whose pictures measure exactly the same again and again; living cells never do.

    Parameters
    ----------
    after
        Such frames in a row that make a position frozen.
    """

    def __init__(self, after: int) -> None:
        self._after = after
        self._last: dict[str, tuple[FrameRow, int]] = {}
        self.frozen: set[str] = set()

    def note(self, row: FrameRow) -> bool:
        """Take a frame; return whether it is the same picture as the one before it at its position."""
        position = row.key.position
        if position not in self._last and len(self._last) >= POSITIONS_MOST:
            return False
        last, times = self._last.get(position, (None, 0))
        same = last is not None and bool(row.features) and (row.features, row.quality) == (last.features, last.quality)
        times = times + 1 if same else 0
        self._last[position] = (row, times)
        if times >= self._after:
            self.frozen.add(position)
        elif not same:
            self.frozen.discard(position)
        return same

    def told(self, position: str) -> None:
        """Take it from elsewhere that a position is frozen."""
        self.frozen.add(position)
