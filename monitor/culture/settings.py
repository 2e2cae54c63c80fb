"""How a flask's rolling state is kept and when its alarms are raised."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class CultureSettings(BaseModel):
    """Rolling window, baseline and limits; all detector quantities are in baseline standard deviations.

    window_frames: frames (all positions of the flask together) in the rolling estimate;
    baseline_frames: first assessable frames that set a flask's own reference;
    cusum_reference_k, cusum_limit_h: tabular CUSUM (Page 1954); k 0.5 and h 7.838 give one false alarm per
    16,128 frames in control, which is one a week over 24 flasks at one frame per 15 minutes;
    min_cells: a frame with fewer cells is not assessable;
    clear_after_frames: frames back inside the limits before an optics or arrival alarm clears; a potency alarm never
    clears by itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_frames: Annotated[int, Field(ge=1)] = 12
    baseline_frames: Annotated[int, Field(ge=4)] = 16
    cusum_reference_k: Annotated[float, Field(gt=0.0)] = 0.5
    cusum_limit_h: Annotated[float, Field(gt=0.0)] = 7.838
    min_cells: Annotated[int, Field(ge=1)] = 8
    clear_after_frames: Annotated[int, Field(ge=1)] = 4
