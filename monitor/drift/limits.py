"""The limit of a lower CUSUM that keeps a false-alarm budget, and its price.

A false alarm is the budget that is spent; the delay until a real fall is found is what it buys. Both are for
independent frames and a settled baseline (`monitor.drift.run_length`).
"""

import math
from functools import lru_cache

from pydantic import BaseModel, ConfigDict
from scipy.optimize import brentq

from monitor.drift.budget import LEAST_FRAMES, MOST_FRAMES
from monitor.drift.run_length import lower_cusum_arl, run_length_quantiles

HOUR_S = 3600.0
LEAST_LIMIT = 0.01


class Price(BaseModel):
    """What a limit costs: frames until falls of 0.5, 1 and 2 standard deviations are found, on average.

    false_alarm_deciles: frames after which a tenth, half and nine tenths of the charts in control have alarmed: the
    median lies well below the mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit_h: float
    frames_between_false_alarms: float
    half_sigma: float
    one_sigma: float
    two_sigma: float
    false_alarm_deciles: tuple[int, int, int]

    def in_words(self, frame_interval_s: float) -> str:
        """Return one sentence for a person.

        >>> price_of(0.5, 7.838).in_words(900.0)
        'a fall of one standard deviation is found after 16 frames (4.0 h) on average, one of two after 6 (1.5 h)'
        """
        one, two = (
            f"{frames:.0f} {{}}({frames * frame_interval_s / HOUR_S:.1f} h)"
            for frames in (self.one_sigma, self.two_sigma)
        )
        begin, end = one.format("frames "), two.format("")
        return f"a fall of one standard deviation is found after {begin} on average, one of two after {end}"


@lru_cache(maxsize=64)
def limit_for(frames_between: float, reference_k: float) -> float:
    """Return the limit h of a lower CUSUM that alarms in control once in so many frames.

    Raises
    ------
    ValueError
        When the interval lies outside of 50 to 10,000,000 frames.

    >>> round(limit_for(16128.0, 0.5), 3)
    7.838
    """
    tightest = lower_cusum_arl(reference_k, LEAST_LIMIT)
    if not max(LEAST_FRAMES, tightest) <= frames_between <= MOST_FRAMES:
        message = (
            f"a false alarm in {frames_between:.0f} frames cannot be promised; between "
            f"{max(LEAST_FRAMES, tightest):.0f} and {MOST_FRAMES:.0f} frames it can: change the number of alarms, the "
            "days or the flasks of the budget"
        )
        raise ValueError(message)
    wanted = math.log(frames_between)

    def excess(limit_h: float) -> float:
        return math.log(lower_cusum_arl(reference_k, limit_h)) - wanted

    # Siegmund's approximation (1985) lies near; far above it, run lengths outgrow the arithmetic
    near = max(math.log(2.0 * reference_k**2 * frames_between + 1.0) / (2.0 * reference_k) - 1.166, 0.0)
    low, high = max(LEAST_LIMIT, near - 1.5), near + 1.5
    while excess(low) > 0.0:
        low = max(LEAST_LIMIT, low / 2.0)
    while excess(high) < 0.0:
        high += 1.5
    return float(brentq(excess, low, high, xtol=1e-4))


@lru_cache(maxsize=64)
def price_of(reference_k: float, limit_h: float) -> Price:
    """Return what a lower CUSUM with this limit costs."""
    half, one, two = (lower_cusum_arl(reference_k, limit_h, fall) for fall in (0.5, 1.0, 2.0))
    tenth, middle, most = run_length_quantiles(reference_k, limit_h, (0.1, 0.5, 0.9))
    return Price(
        limit_h=limit_h,
        frames_between_false_alarms=lower_cusum_arl(reference_k, limit_h),
        half_sigma=half,
        one_sigma=one,
        two_sigma=two,
        false_alarm_deciles=(tenth, middle, most),
    )
