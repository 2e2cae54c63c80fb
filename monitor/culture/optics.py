"""Whether a flask's images are sharp and evenly lit, against the flask's own first frames."""

import math
from dataclasses import dataclass

from monitor.culture.baseline import Baseline
from monitor.culture.rows import FrameRow
from monitor.culture.settings import CultureSettings
from monitor.drift.base import Detection, Sides
from monitor.drift.shewhart import Shewhart

FOCUS_SD = 0.05
"""Prior deviation of the logarithm of focus from frame to frame."""
ILLUMINATION_SD = 0.03
"""Prior deviation of the unevenness of the background, as a share of it."""
ILLUMINATION_RISE = 0.25
"""Share of the background by which its unevenness must rise before it counts, beside four deviations."""
WIDTH = 4.0
"""Shewhart limit for gross faults, in deviations of the flask's baseline."""
BACK_AT = 0.5
"""Part of each limit that a value must be back inside of before it counts as good again: the deadband."""
REASONS = frozenset(("out_of_focus", "saturated"))
"""Reasons of a failed quality check that are the optics' fault."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What optics say of a frame: `bad` is None where too little is to be seen to judge by."""

    bad: bool | None
    cause: str = ""
    detection: Detection | None = None


class OpticsWatch:
    """Learns a flask's usual focus and light from its first frames, then judges each frame against them."""

    def __init__(self, settings: CultureSettings) -> None:
        self._settings = settings
        self._focus = Baseline(settings.baseline_frames, FOCUS_SD)
        self._light = Baseline(settings.baseline_frames, ILLUMINATION_SD)
        self._shewhart = Shewhart(WIDTH, sides=Sides.LOWER)

    @property
    def provisional(self) -> bool:
        """Whether the limits rest on few frames."""
        return self._focus.provisional

    def judge(self, row: FrameRow, *, active: bool) -> Verdict:
        """Judge a frame; while the alarm is `active` the limits are narrower, so that it does not flutter."""
        if row.quality.reason in REASONS:
            return Verdict(True, self._absolute(row))
        if row.quality.focus <= 0.0:
            return Verdict(None)
        part = BACK_AT if active else 1.0
        enough = row.n_cells >= self._settings.min_cells
        if not self._focus.ready:
            if enough and row.quality.passes:
                self._focus.learn(math.log(row.quality.focus))
                self._light.learn(row.quality.illumination)
            return Verdict(False if enough else None)
        return self._blurred(row, part) or self._uneven(row, part) or Verdict(False if enough else None)

    def _blurred(self, row: FrameRow, part: float) -> Verdict | None:
        value = math.log(row.quality.focus)
        if value - self._focus.centre > part * math.log(1.0 - self._settings.focus_drop):
            return None
        detection = self._shewhart.update(self._focus.standardised(value) / part)
        cause = f"focus fell to {100 * math.exp(value - self._focus.centre):.0f} % of this flask's usual sharpness"
        return Verdict(True, cause, detection) if detection else None

    def _uneven(self, row: FrameRow, part: float) -> Verdict | None:
        light = row.quality.illumination
        far = self._light.standardised(light) > part * WIDTH
        if not far or light - self._light.centre < part * ILLUMINATION_RISE:
            return None
        usual = f"{100 * self._light.centre:.0f} % is usual for this flask"
        return Verdict(True, f"the light varies by {100 * light:.0f} % over the field, {usual}")

    def _absolute(self, row: FrameRow) -> str:
        if row.quality.reason == "saturated":
            return f"{100 * row.quality.saturated_fraction:.0f} % of the pixels are at the camera's limit"
        if not self._focus.ready:
            return f"focus {row.quality.focus:.3f} is too low to see the cells"
        usual = math.exp(self._focus.centre)
        return f"focus fell to {100 * row.quality.focus / usual:.0f} % of this flask's usual sharpness"
