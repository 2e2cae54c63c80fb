"""How a flask's rolling state is kept and when its alarms are raised."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from monitor.culture.reference import ReferenceTrajectory
from monitor.culture.rules import AlarmRules
from monitor.drift.budget import FalseAlarmBudget

Positive = Annotated[float, Field(gt=0.0)]


def _read(given: object) -> object:
    return ReferenceTrajectory.read(Path(given)) if isinstance(given, str | Path) else given


class CultureSettings(BaseModel):
    """Rolling window, baseline and limits; all detector quantities are in baseline standard deviations.

    window_frames: assessable frames (all positions of the flask together) in the rolling estimate;
    baseline_frames: first assessable frames of a flask that are only learnt from;
    baseline_most: frames after which its usual potency stays as it is, lest it follow a slow fall;
    baseline_sd: deviation of frame potencies, in points, that a flask's own is drawn towards while it has few frames
    (7 was measured on eight healthy simulated flasks with the demonstration model);
    false_alarms: how many false potency alarms are bearable; the CUSUM's limit is derived from it;
    cusum_reference_k: half the fall to find, in deviations (lower CUSUM, Page 1954): 0.5 is best against one;
    focus_drop: share of its baseline that focus must lose before it counts as lost, beside four deviations;
    min_cells: a frame with fewer cells is not assessable;
    min_fields: a flask whose frames in the rolling estimate are of fewer fields of view is not assessable;
    raise_after_frames: frames in a row before an optics or segmentation alarm is raised;
    clear_after_frames: frames in a row back inside the limits before it clears; a potency alarm clears only after
    somebody acknowledged it;
    missing_after_rounds: rounds of the scan without a position before it is called missing;
    frozen_frames: frames in a row with exactly the same measures before a position is called frozen;
    potency_floor: a flask whose rolling potency, of a full window, lies below so many percent raises the potency alarm
    even where nothing fell; `cellvigil forecast` says when a fall will cross it;
    confluency_goal: fraction that `cellvigil forecast` says the crossing of;
    reference: past good runs, or the file that holds them (`cellvigil train reference`), for the morphology alarm; None
    raises none; morphology_rate: false-discovery rate among the features that are compared with it;
    rules: what each alarm means and asks for, in words; one that leaves a word out is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_frames: Annotated[int, Field(ge=1)] = 12
    baseline_frames: Annotated[int, Field(ge=4)] = 30
    baseline_most: Annotated[int, Field(ge=30)] = 1000
    baseline_sd: Positive = 10.0
    false_alarms: FalseAlarmBudget = FalseAlarmBudget()
    cusum_reference_k: Annotated[float, Field(ge=0.05, le=2.0)] = 0.5
    focus_drop: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.25
    min_cells: Annotated[int, Field(ge=1)] = 8
    min_fields: Annotated[int, Field(ge=1)] = 1
    raise_after_frames: Annotated[int, Field(ge=1)] = 2
    clear_after_frames: Annotated[int, Field(ge=1)] = 4
    missing_after_rounds: Annotated[int, Field(ge=1)] = 3
    frozen_frames: Annotated[int, Field(ge=1)] = 3
    rules: AlarmRules = AlarmRules()
    potency_floor: Positive = 70.0
    confluency_goal: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.8
    reference: Annotated[ReferenceTrajectory | None, BeforeValidator(_read)] = None
    morphology_rate: Annotated[float, Field(gt=0.0, lt=0.1)] = 0.01

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if self.baseline_most < self.baseline_frames:
            message = f"baseline_most {self.baseline_most} is below baseline_frames {self.baseline_frames}"
            raise ValueError(message)
        return self
