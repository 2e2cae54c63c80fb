"""Simulated flasks: what was told to happen to them happens, and nothing else."""

import itertools
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from monitor.frames.normalize import normalize
from monitor.segmentation.quality import focus_of
from monitor.synthetic.culture import START, Culture, CultureSpec, demo_fleet, potency_of, training_fleet
from monitor.synthetic.phantom import Phantom

SMALL = CultureSpec("S", seed=3, n_time_points=12, shape_px=(192, 192), covered=0.35)


def mean_area_um2(frame: Phantom) -> float:
    return float(np.mean([cell.area_um2 for cell in frame.spec.cells]))


def focus(frame: Phantom) -> float:
    return focus_of(normalize(frame.pixels, frame.pixel_size_um), frame.cells, frame.pixel_size_um)


def test_frames_are_the_same_whatever_the_order_they_are_asked_in() -> None:
    forwards, backwards = Culture(SMALL), Culture(SMALL)
    later = [backwards.frame("p1", index) for index in (5, 2, 0)][::-1]
    for index, other in zip((0, 2, 5), later, strict=True):
        frame = forwards.frame("p1", index)
        assert (frame.pixels == other.pixels).all()
        assert (frame.cells == other.cells).all()


def test_positions_seeds_and_times_differ() -> None:
    culture = Culture(SMALL)
    usual = culture.frame("p1", 1).pixels
    assert (usual != culture.frame("p2", 1).pixels).any()
    assert (usual != culture.frame("p1", 2).pixels).any()
    assert (usual != Culture(replace(SMALL, seed=4)).frame("p1", 1).pixels).any()


def test_frames_follow_one_another_as_a_microscope_takes_them() -> None:
    culture = Culture(replace(SMALL, interval_s=900.0))
    assert culture.acquired_at(0) == START
    assert culture.acquired_at(5) - culture.acquired_at(1) == timedelta(hours=1)


@pytest.mark.parametrize("senescence", [0.0, 0.1, 0.4, 0.9])
def test_potency_falls_with_senescence_and_with_nothing_else(senescence: float) -> None:
    assert potency_of(senescence) > potency_of(senescence + 0.05)
    sparse, dense = (Culture(replace(SMALL, senescence=senescence, covered=c)) for c in (0.1, 0.7))
    assert sparse.true_potency(4) == dense.true_potency(4) == potency_of(senescence)


def test_potency_stays_in_its_range() -> None:
    assert potency_of(-1.0) == 130.0
    assert potency_of(5.0) == 5.0
    assert potency_of(0.1) == pytest.approx(100.0)


def test_a_healthy_flask_keeps_its_potency() -> None:
    culture = Culture(SMALL)
    assert {culture.true_potency(index) for index in range(12)} == {potency_of(SMALL.senescence)}


def test_a_flask_declines_from_the_time_it_was_told_towards_where_it_was_told() -> None:
    culture = Culture(replace(SMALL, n_time_points=60, decline_at=6, decline_to=0.5, decline_h=4.0))
    course = [culture.true_potency(index) for index in range(60)]
    assert course[:6] == [course[0]] * 6
    assert all(later < earlier for earlier, later in itertools.pairwise(course[5:41]))
    assert course[59] == pytest.approx(potency_of(0.5), rel=0.01)


def test_the_cells_of_a_declining_flask_spread_and_those_of_a_healthy_one_do_not() -> None:
    declining = Culture(replace(SMALL, decline_at=2, decline_to=0.8, decline_h=2.0))
    healthy = Culture(SMALL)
    assert (declining.frame("p1", 1).pixels == healthy.frame("p1", 1).pixels).all()
    assert mean_area_um2(declining.frame("p1", 10)) > 1.7 * mean_area_um2(declining.frame("p1", 1))
    assert mean_area_um2(healthy.frame("p1", 10)) < 1.2 * mean_area_um2(healthy.frame("p1", 1))


def test_a_flask_loses_focus_from_the_time_it_was_told() -> None:
    blurred = Culture(replace(SMALL, defocus_at=4))
    sharp = Culture(SMALL)
    assert (blurred.frame("p1", 3).pixels == sharp.frame("p1", 3).pixels).all()
    assert focus(blurred.frame("p1", 4)) < 0.4 * focus(sharp.frame("p1", 4))
    # the cells are none the worse for it
    assert (blurred.frame("p1", 4).cells == sharp.frame("p1", 4).cells).all()
    assert blurred.true_potency(8) == sharp.true_potency(8)


def test_a_flask_stops_sending_when_it_was_told() -> None:
    stopped = Culture(replace(SMALL, stop_at=5)).spec
    assert [stopped.has_frame(index) for index in range(7)] == [True] * 5 + [False] * 2
    assert [SMALL.has_frame(index) for index in (0, 11, 12)] == [True, True, False]


def test_cells_multiply() -> None:
    growing = Culture(replace(SMALL, doubling_h=10.0, n_time_points=21, shape_px=(320, 320)))
    counts = [len(growing.frame("p1", index).spec.cells) for index in (0, 10, 20)]
    assert counts == sorted(counts)
    # twice the doubling time: four times as many, give or take chance
    assert 2.3 * counts[0] < counts[2] < 6.0 * counts[0]
    assert (growing.frame("p1", 20).cells > 0).mean() > (growing.frame("p1", 0).cells > 0).mean()


def test_cells_drift_within_their_field() -> None:
    culture = Culture(SMALL)
    first, later = culture.frame("p1", 0).spec.cells, culture.frame("p1", 6).spec.cells
    extent = 192 * SMALL.pixel_size_um
    assert all(0.0 <= cell.y_um < extent and 0.0 <= cell.x_um < extent for cell in later)
    steps = [abs(one.y_um - other.y_um) for one, other in zip(first, later, strict=False)]
    assert 1.0 < np.median(steps) < 60.0


def test_the_demo_has_a_flask_of_every_fate() -> None:
    fleet = demo_fleet(seed=1, n_time_points=20)
    assert len({spec.flask for spec in fleet}) == len({spec.seed for spec in fleet}) == 4
    healthy, declines, loses_focus, stops = fleet
    assert (healthy.decline_at, healthy.defocus_at, healthy.stop_at) == (None, None, None)
    assert declines.decline_at == 9
    assert loses_focus.defocus_at == 11
    assert stops.stop_at == 12
    assert demo_fleet(seed=1) == demo_fleet(seed=1) != demo_fleet(seed=2)


def test_training_flasks_cover_potency_and_crowding_independently() -> None:
    fleet = training_fleet(seed=0, n_flasks=200)
    assert fleet == training_fleet(seed=0, n_flasks=200)
    assert len({spec.donor for spec in fleet}) == len({spec.seed for spec in fleet}) == 200
    potency = [Culture(spec).true_potency(0) for spec in fleet]
    covered = [spec.covered for spec in fleet]
    assert min(potency) < 45.0
    assert max(potency) > 105.0
    assert 0.12 <= min(covered) < 0.2 < 0.6 < max(covered) <= 0.7
    assert abs(np.corrcoef(potency, covered)[0, 1]) < 0.2
