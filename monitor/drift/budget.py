"""From what a laboratory can bear, so many false alarms in so long a time, to the run length that a chart must have.

Light to import: settings hold a budget; `monitor.drift.limits` makes limits of it.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0.0)]
DAY_S = 86_400.0
LEAST_FRAMES, MOST_FRAMES = 50.0, 1e7
"""Intervals between false alarms, in frames, that can be promised."""


class FalseAlarmBudget(BaseModel):
    """At most `alarms` false alarms in `days` over `flasks`, each with a frame every `frame_interval_s`.

    >>> round(FalseAlarmBudget(alarms=1, days=7, flasks=24, frame_interval_s=900).frames_between)
    16128
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    alarms: Positive = 1.0
    days: Positive = 7.0
    flasks: Annotated[int, Field(ge=1)] = 24
    frame_interval_s: Positive = 900.0

    @property
    def frames_between(self) -> float:
        """Frames of all flasks together between two false alarms: the run length that a chart must have in control."""
        return self.flasks * self.days * DAY_S / self.frame_interval_s / self.alarms

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if not LEAST_FRAMES <= self.frames_between <= MOST_FRAMES:
            message = (
                f"a false alarm in {self.frames_between:.0f} frames cannot be promised; between {LEAST_FRAMES:.0f} and "
                f"{MOST_FRAMES:.0f} frames it can: change alarms, days or flasks of the budget"
            )
            raise ValueError(message)
        return self
