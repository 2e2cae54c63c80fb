"""Average run lengths of the shipped detectors against published ones, by Markov chain and by simulation.

Published: two- and one-sided CUSUM (Lucas & Crosier 1982 and the spc package's integral equations), EWMA (Lucas &
Saccucci 1990), Shewhart (exact). Limits are those of the standard normal distribution with known parameters.
"""

import numpy as np
import pytest
from scipy.stats import norm

from monitor.culture.settings import CultureSettings
from monitor.drift.base import Detector, Sides
from monitor.drift.cusum import LowerCusum, TwoSidedCusum
from monitor.drift.ewma import Ewma
from monitor.drift.shewhart import Shewhart

TOLERANCE = 0.03


def run_length(transitions: np.ndarray, start: int) -> float:
    """Return the mean number of steps until a chain leaves its transient states (Brook & Evans 1972)."""
    return float(np.linalg.solve(np.eye(len(transitions)) - transitions, np.ones(len(transitions)))[start])


def lower_cusum_chain(k: float, h: float, fall: float, head_start: float = 0.0, states: int = 400) -> float:
    """Mean run length of S = max(0, S + y - k) with y ~ N(fall, 1), S on `states` steps of a grid over [0, h]."""
    step = 2.0 * h / (2 * states - 1)
    centres = np.arange(states) * step
    edges = np.concatenate([[-np.inf], centres + step / 2.0])
    transitions = np.diff(norm.cdf(edges[None, :] - centres[:, None] + k - fall), axis=1)
    return run_length(transitions, round(head_start / step))


def ewma_chain(weight: float, width: float, shift: float, states: int = 401) -> float:
    """Mean run length of the two-sided EWMA with settled limits."""
    limit = width * np.sqrt(weight / (2.0 - weight))
    edges = np.linspace(-limit, limit, states + 1)
    centres = (edges[1:] + edges[:-1]) / 2.0
    arrive = (edges[None, :] - (1.0 - weight) * centres[:, None]) / weight
    return run_length(np.diff(norm.cdf(arrive - shift), axis=1), states // 2)


def simulated(detector: Detector, shift: float, runs: int) -> tuple[float, float]:
    """Return mean run length and its standard error over `runs` series."""
    random = np.random.default_rng(20260310)
    lengths = []
    for _ in range(runs):
        detector.reset()
        count, found = 0, False
        while not found:
            for value in random.normal(shift, 1.0, 64).tolist():
                count += 1
                if detector.update(value) is not None:
                    found = True
                    break
        lengths.append(count)
    return float(np.mean(lengths)), float(np.std(lengths) / np.sqrt(runs))


@pytest.mark.parametrize(
    ("h", "fall", "published"),
    [(3.0, 0.0, 117.6), (4.0, 0.0, 335.4), (5.0, 0.0, 930.9), (7.838, 0.0, 16128.0), (4.0, 1.0, 8.38), (5.0, 0.5, 38.0),
     (5.0, 1.0, 10.4), (5.0, 2.0, 4.01), (7.838, 1.0, 16.1)],
)  # fmt: skip
def test_chain_of_lower_cusum(h: float, fall: float, published: float) -> None:
    assert lower_cusum_chain(0.5, h, fall) == pytest.approx(published, rel=0.005)


def test_defaults_keep_the_false_alarm_interval_that_they_state() -> None:
    settings = CultureSettings()
    chain = [lower_cusum_chain(settings.cusum_reference_k, settings.cusum_limit_h, fall) for fall in (0.0, 2.0)]
    assert chain == pytest.approx([16133.0, 4.8], rel=0.005)


@pytest.mark.parametrize(("h", "shift", "published"), [(4.0, 0.0, 167.68), (5.0, 0.0, 465.44), (5.0, 1.0, 10.38)])
def test_chain_of_two_sided_cusum(h: float, shift: float, published: float) -> None:
    sides = lower_cusum_chain(0.5, h, shift), lower_cusum_chain(0.5, h, -shift)
    assert 1.0 / sum(1.0 / side for side in sides) == pytest.approx(published, rel=0.005)


@pytest.mark.parametrize(
    ("weight", "width", "shift", "published"),
    [(0.05, 2.615, 0.0, 499.93), (0.1, 2.814, 0.0, 499.58), (0.1, 2.814, 1.0, 10.33), (0.25, 2.998, 0.5, 48.29)],
)
def test_chain_of_ewma(weight: float, width: float, shift: float, published: float) -> None:
    assert ewma_chain(weight, width, shift) == pytest.approx(published, rel=0.005)


@pytest.mark.parametrize(
    ("detector", "shift", "expected", "runs"),
    [
        (LowerCusum(0.5, 4.0), 0.0, lower_cusum_chain(0.5, 4.0, 0.0), 2000),
        (LowerCusum(0.5, 7.838), -1.0, lower_cusum_chain(0.5, 7.838, 1.0), 3000),
        (LowerCusum(0.5, 5.0, 2.5), -1.0, lower_cusum_chain(0.5, 5.0, 1.0, 2.5), 5000),
        (TwoSidedCusum(0.5, 4.0), 0.0, 167.68, 2000),
        (TwoSidedCusum(0.5, 5.0, 2.5), 1.0, 6.35, 5000),
        (Ewma(0.1, 2.814), 1.0, 10.33, 4000),
        (Ewma(0.1, 2.814, settled=False), 1.0, 8.16, 5000),
        (Ewma(0.1, 2.814, sides=Sides.LOWER), -1.0, 10.33, 4000),
        (Shewhart(3.0), 1.0, 43.89, 3000),
        (Shewhart(3.0, sides=Sides.LOWER), -1.0, 1.0 / norm.cdf(-2.0), 3000),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_shipped_detectors(detector: Detector, shift: float, expected: float, runs: int) -> None:
    mean, error = simulated(detector, shift, runs)
    assert error < TOLERANCE * expected
    assert mean == pytest.approx(expected, rel=TOLERANCE, abs=3.0 * error)


def test_a_rise_is_not_a_fall() -> None:
    rising = [3.0] * 50
    for detector in (LowerCusum(0.5, 5.0), Ewma(0.1, 2.8, sides=Sides.LOWER), Shewhart(3.0, sides=Sides.LOWER)):
        assert all(detector.update(value) is None for value in rising)
