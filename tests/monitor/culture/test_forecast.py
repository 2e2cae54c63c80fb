"""When a limit is crossed: a sentence with an interval that holds, and no sentence where nothing can be said."""

import math
import random

import pytest

from monitor.culture.forecast import FRAMES, HORIZON_H, Forecast, crossing, logit


def falling(seed: int, rate: float, noise: float, hours: float = 20.0) -> tuple[list[float], list[float]]:
    chance = random.Random(seed)
    times = [0.25 * number for number in range(int(4 * hours))]
    return times, [95.0 - rate * hour + chance.gauss(0.0, noise) for hour in times]


def test_a_straight_fall_crosses_when_it_must() -> None:
    times, values = falling(0, 1.0, 0.001)
    found = crossing(times, values, 70.0, falling=True)
    assert found is not None
    assert found.hours == pytest.approx(25.0 - times[-1], abs=0.01)
    assert found.low < found.hours < found.high < found.low + 0.1


def test_the_interval_holds_the_truth_nine_times_of_ten() -> None:
    inside, given = 0, 0
    for seed in range(300):
        rate = 1.0 + 0.01 * (seed % 100)
        times, values = falling(seed, rate, 4.0, 14.0)
        found = crossing(times, values, 95.0 - 20.0 * rate, falling=True)
        if found is not None:
            given += 1
            inside += found.low <= 20.0 - times[-1] <= found.high
    assert given > 200
    assert 0.87 <= inside / given <= 0.99


def test_growth_is_forecast_on_the_scale_on_which_it_is_straight() -> None:
    times = [0.5 * number for number in range(60)]
    shares = [1.0 / (1.0 + math.exp(-(logit(0.1) + 0.08 * hour))) for hour in times]
    truth = (logit(0.8) - logit(0.1)) / 0.08 - times[-1]
    found = crossing(times, [logit(share) for share in shares], logit(0.8), falling=False)
    assert found is not None
    assert found.hours == pytest.approx(truth, abs=0.01)
    assert "80 % confluent in" in found.in_words("80 % confluent")


@pytest.mark.parametrize(
    ("values", "limit"),
    [
        ([95.0, 94.0, 93.0], 70.0),
        ([60.0 - 0.1 * n for n in range(40)], 70.0),
        ([80.0 + 0.5 * n for n in range(40)], 70.0),
        ([90.0 + (-1.0) ** n for n in range(40)], 70.0),
        ([90.0 - 0.001 * n for n in range(40)], 70.0),
    ],
    ids=["few frames", "crossed already", "rises", "no course", "beyond the horizon"],
)
def test_where_nothing_can_be_said_nothing_is(values: list[float], limit: float) -> None:
    assert crossing(list(range(len(values))), values, limit, falling=True) is None


def test_only_the_last_frames_count_and_frames_of_one_moment_are_borne() -> None:
    times, values = falling(1, 1.5, 0.5)
    before = [-100.0 + n for n in range(50)]
    assert crossing([*before, *times], [10.0] * 50 + values, 20.0, falling=True) == crossing(
        times[-FRAMES:], values[-FRAMES:], 20.0, falling=True
    )
    assert crossing([1.0] * 20, values[:20], 20.0, falling=True) is None
    assert HORIZON_H > 100.0


def test_it_is_said_as_people_say_it() -> None:
    said = Forecast(9.4, 6.2, 14.4).in_words("potency will cross the floor of 70 %")
    assert said == "potency will cross the floor of 70 % in 9 h (6 to 14 h)"
