"""How a flask's potency detector stood after every frame: what is usual, how far it strays, and the sum it watches.

None of it is stored; it is the same pure fold over the stored rows that raises the alarms.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from monitor.culture.rows import CultureRow, FrameRow
from monitor.culture.settings import CultureSettings
from monitor.culture.state import FlaskState

_ROW: TypeAdapter[CultureRow] = TypeAdapter(Annotated[CultureRow, Field(discriminator="kind")])
FINGERPRINT = 6
"""So many features of a frame tell whether two pictures are the same one; the detector asks for no others."""


def light_row(fact: dict[str, Any]) -> CultureRow:
    """Return a stored row for the fold of the potency detector, without most of a frame's features."""
    features = fact.get("features")
    if isinstance(features, Mapping):
        fact["features"] = dict(list(features.items())[:FINGERPRINT])
    return _ROW.validate_python(fact, strict=False)


class PotencyCourse:
    """Follows one flask; feed rows in the order of the fold.

    t: seconds since 1970 of frames that the detector took; statistic: its sum after each, in deviations of a frame;
    centre, sd: what was usual, in percent.
    """

    def __init__(self, flask: str, culture: CultureSettings) -> None:
        # the reference serves the morphology alarm alone, which the potency detector does not ask
        self._state = FlaskState(flask, culture.model_copy(update={"reference": None}))
        self.t: list[float] = []
        self.statistic: list[float] = []
        self.centre: list[float] = []
        self.sd: list[float] = []

    def take(self, row: CultureRow) -> None:
        """Take the next row."""
        step = self._state.step(row)
        if isinstance(row, FrameRow) and step.counted:
            watch = self._state.potency
            self.t.append(row.at.timestamp())
            self.statistic.append(watch.statistic)
            self.centre.append(watch.centre)
            self.sd.append(watch.sd)

    @property
    def limit(self) -> float:
        """What the sum must exceed."""
        return self._state.potency.limit

    @property
    def detector(self) -> str:
        """Name of the detector."""
        return self._state.potency.detector

    @property
    def provisional(self) -> bool:
        """Whether what is usual rests on few frames."""
        return self._state.potency.provisional

    @property
    def grows_below(self) -> float | None:
        """Potency below which a frame adds to the sum; None as long as nothing was learnt."""
        watch = self._state.potency
        return watch.centre - watch.reference_k * watch.sd if self.t else None
