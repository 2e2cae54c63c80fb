import numpy as np
import pytest

from services.dashboard.thinning import kept, rounded


@pytest.mark.parametrize("width", [10, 97, 1000])
def test_the_extremes_of_every_pixel_are_kept(width: int):
    rng = np.random.default_rng(3)
    t, v = np.sort(rng.uniform(0.0, 1e6, 20_000)), rng.normal(0.0, 1.0, 20_000)

    places = kept(t, [v], width)

    pixel = np.minimum(((t - t[0]) / (t[-1] - t[0]) * width).astype(int), width - 1)
    for number in range(width):
        inside = v[pixel == number]
        shown = v[places[pixel[places] == number]]
        assert (shown.min(), shown.max()) == (inside.min(), inside.max())
    assert len(places) <= 2 * width + 2
    assert (np.diff(places) > 0).all()


def test_the_extremes_of_the_bounds_are_kept_too():
    t = np.arange(5000.0)
    middle, low, high = np.zeros(5000), np.full(5000, -1.0), np.full(5000, 1.0)
    low[1234], high[4321] = -50.0, 50.0

    places = kept(t, [middle, low, high], 50)

    assert {1234, 4321} <= set(places.tolist())


def test_first_and_last_point_stay():
    t = np.arange(1000.0)

    places = kept(t, [np.sin(t)], 7)

    assert (places[0], places[-1]) == (0, 999)


def test_a_gap_stays_a_gap():
    t, v = np.arange(1000.0), np.ones(1000)
    v[400:600] = np.nan

    shown = v[kept(t, [v], 20)]

    assert np.isnan(shown).sum() >= 4
    assert not np.isnan(shown[[0, -1]]).any()


def test_few_points_are_left_alone():
    t = np.array([0.0, 1.0, 1.0, 2.0])

    assert kept(t, [t], 2).tolist() == [0, 1, 2, 3]
    assert kept(np.zeros(0), [np.zeros(0)], 5).tolist() == []
    assert kept(np.ones(50), [np.arange(50.0)], 5).tolist() == list(range(50))


def test_numbers_become_json():
    assert rounded(np.array([np.nan, 1.23456]), 2) == [None, 1.23]
