"""Speed, straightness and divisions of simulated cells whose speed is known."""

import math

import numpy as np
import pytest

from monitor.features.motility import MOTILITY, Follower, Track, motility
from monitor.features.tracking import Cells


def frame_of(places: np.ndarray, area: float | np.ndarray = 1500.0) -> Cells:
    return Cells(places[:, 0], places[:, 1], np.broadcast_to(area, len(places)).astype(float))


def scattered(number: int = 60, pitch: float = 90.0) -> np.ndarray:
    side = math.ceil(math.sqrt(number))
    return np.array([(pitch * (i // side), pitch * (i % side)) for i in range(number)], float)


def test_cells_that_go_straight_have_their_speed_and_full_persistence() -> None:
    follower, start = Follower(30.0), scattered()
    headings = np.random.default_rng(0).uniform(0.0, 2.0 * math.pi, len(start))
    for step in range(10):
        hours = 0.25 * step
        moved = start + 12.0 * hours * np.column_stack([np.sin(headings), np.cos(headings)])
        followed = follower.follow(frame_of(moved), hours)
        if step:
            np.testing.assert_allclose(followed.speed, 12.0, rtol=1e-6)
        else:
            assert np.isnan(followed.speed).all()
    found = motility(follower.tracks)
    assert set(found) == {feature.name for feature in MOTILITY}
    assert found["speed"] == pytest.approx(12.0)
    assert found["persistence"] == pytest.approx(1.0)
    assert found["division_rate"] == 0.0
    assert found["tracks"] == 60


def test_cells_that_wander_have_their_speed_and_little_persistence() -> None:
    follower, places = Follower(30.0), scattered()
    random = np.random.default_rng(0)
    for step in range(40):
        follower.follow(frame_of(places), 0.5 * step)
        turn = random.uniform(0.0, 2.0 * math.pi, len(places))
        places = places + 3.0 * np.column_stack([np.sin(turn), np.cos(turn)])
    found = motility(follower.tracks)
    assert found["speed"] == pytest.approx(6.0)
    assert found["persistence"] == pytest.approx(math.sqrt(math.pi / 4.0 / 39), rel=0.25)  # a random walk of 39 steps


def test_a_division_is_found_and_counted_once() -> None:
    follower = Follower(30.0)
    for step in range(4):
        follower.follow(frame_of(np.array([[0.0, 0.0], [200.0, 0.0]]), 1000.0), float(step))
    parted = frame_of(np.array([[-7.0, 0.0], [7.0, 0.0], [200.0, 0.0]]), np.array([500.0, 500.0, 1000.0]))
    followed = follower.follow(parted, 4.0)
    assert followed.track.tolist() == [3, 4, 2]
    assert followed.mother.tolist() == [1, 1, 0]
    assert followed.speed[:2].tolist() == [7.0, 7.0]
    assert motility(follower.tracks)["division_rate"] == pytest.approx(1 / (3.0 + 4.0))


def test_tracks_of_positions_count_on() -> None:
    first = Follower(10.0)
    first.follow(frame_of(scattered(5)), 0.0)
    second = Follower(10.0, first.next_number)
    assert second.follow(frame_of(scattered(3)), 0.0).track.tolist() == [6, 7, 8]


def test_a_frame_that_is_not_later_is_refused() -> None:
    follower = Follower(10.0)
    follower.follow(frame_of(scattered(5)), 1.0)
    with pytest.raises(ValueError, match="sort them by time"):
        follower.follow(frame_of(scattered(5)), 1.0)


def test_what_was_not_followed_has_no_motility() -> None:
    assert motility([]) == {}
    assert motility([Track(1, 0, [0.0], [0.0], [0.0])]) == {}
    still = motility([Track(1, 0, [0.0, 1.0], [5.0, 5.0], [5.0, 5.0])])
    assert still == {"speed": 0.0, "division_rate": 0.0, "tracks": 1.0}
