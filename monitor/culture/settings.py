"""How a flask's rolling state is kept and when its alarms are raised."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0.0)]


class CultureSettings(BaseModel):
    """Rolling window, baseline and limits; all detector quantities are in baseline standard deviations.

    window_frames: assessable frames (all positions of the flask together) in the rolling estimate;
    baseline_frames: first assessable frames that set a flask's own reference;
    baseline_sd: deviation of frame potencies, in points, that a baseline's own is drawn towards and never taken as
    less. It is the long-run deviation, which is what a sum feels: neighbouring frames show the same cells and err
    together, so that eight frames in a row average to an error of 15 / sqrt(8) points rather than 8 / sqrt(8)
    (measured on eight healthy simulated flasks of 96 frames with the demonstration model);
    cusum_reference_k, cusum_limit_h: lower CUSUM (Page 1954); 1 and 4.053 find a fall of two deviations (30 points) in
    5 frames and give one false alarm per 16,133 independent frames in control, which is one a week over 24 flasks at
    one frame per 15 minutes;
    focus_drop: share of its baseline that focus must lose before it counts as lost, beside four deviations;
    min_cells: a frame with fewer cells is not assessable;
    raise_after_frames: frames in a row before an optics or segmentation alarm is raised;
    clear_after_frames: frames in a row back inside the limits before it clears; a potency alarm never clears by
    itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_frames: Annotated[int, Field(ge=1)] = 12
    baseline_frames: Annotated[int, Field(ge=4)] = 30
    baseline_sd: Positive = 15.0
    cusum_reference_k: Positive = 1.0
    cusum_limit_h: Positive = 4.053
    focus_drop: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.25
    min_cells: Annotated[int, Field(ge=1)] = 8
    raise_after_frames: Annotated[int, Field(ge=1)] = 2
    clear_after_frames: Annotated[int, Field(ge=1)] = 4
