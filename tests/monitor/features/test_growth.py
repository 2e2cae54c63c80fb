"""The doubling time of a flask comes back, through noise, gaps, wrong frames and positions of their own."""

import math

import numpy as np
import pytest

from monitor.features.growth import GROWTH, Count, growth


def series(
    doubling_h: float, *, position: str = "p1", start: float = 3000.0, noise: float = 0.0, seed: int = 0
) -> list[Count]:
    random = np.random.default_rng(seed)
    hours = np.arange(0.0, 48.0, 2.0)
    densities = start * 2.0 ** (hours / doubling_h) * np.exp(random.normal(0.0, noise, len(hours)))
    return [Count(position, float(hour), float(density)) for hour, density in zip(hours, densities, strict=True)]


@pytest.mark.parametrize("doubling_h", [18.0, 30.0, 72.0])
def test_a_clean_series_gives_its_doubling_time(doubling_h: float) -> None:
    found = growth(series(doubling_h))
    assert set(found) == {feature.name for feature in GROWTH}
    assert found["doubling_time"] == pytest.approx(doubling_h)
    assert found["growth_rate"] == pytest.approx(math.log(2.0) / doubling_h)


def test_one_wrong_frame_in_five_hardly_matters() -> None:
    counts = series(30.0, noise=0.05)
    wrong = [
        Count("p1", c.hours, c.density * (5.0 if i % 10 else 0.1)) if i % 5 == 0 else c for i, c in enumerate(counts)
    ]
    assert growth(wrong)["doubling_time"] == pytest.approx(30.0, rel=0.12)


def test_positions_may_start_anywhere_and_end_early() -> None:
    counts = series(24.0) + series(24.0, position="p2", start=12000.0)[:5]
    assert growth(counts)["doubling_time"] == pytest.approx(24.0)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    held = []
    for seed in range(200):
        found = growth(series(36.0, noise=0.1, seed=seed))
        held.append(found["growth_rate_low"] <= math.log(2.0) / 36.0 <= found["growth_rate_high"])
    assert 0.84 <= np.mean(held) <= 0.96


def test_a_flask_that_shrinks_has_a_rate_and_no_doubling_time() -> None:
    found = growth(series(-40.0))
    assert found["growth_rate"] == pytest.approx(-math.log(2.0) / 40.0)
    assert "doubling_time" not in found


@pytest.mark.parametrize(
    "counts",
    [[], series(20.0)[:2], [Count("p1", 1.0, 5.0)] * 9, [Count("p1", float(hour), 0.0) for hour in range(9)]],
)
def test_too_few_frames_say_nothing(counts: list[Count]) -> None:
    assert growth(counts) == {}
