"""The report of a flask: what is drawn of positions that were taken at once, and its axes."""

import re

import pytest

from services.dashboard.drawing import TICKS_Y, WIDTH, Chart, Line, draw, round_values
from services.dashboard.report import mean_per_time, newest_per_time
from services.dashboard.schemas import CourseResponse


def test_positions_taken_at_once_are_one_point_of_a_curve():
    course = CourseResponse(
        t=[0.0, 0.0, 1.0, 2.0, 2.0], v=[10.0, 20.0, 30.0, None, 50.0], low=[1.0, 2.0, 3.0, None, 5.0]
    )

    assert newest_per_time(course) == CourseResponse(t=[0.0, 1.0, 2.0], v=[20.0, 30.0, 50.0], low=[2.0, 3.0, 5.0])
    assert mean_per_time(course) == CourseResponse(t=[0.0, 1.0, 2.0], v=[15.0, 30.0, 50.0])
    assert mean_per_time(CourseResponse(t=[3.0, 3.0], v=[None, None])) == CourseResponse(t=[3.0], v=[None])
    assert newest_per_time(CourseResponse(t=[], v=[])) == CourseResponse(t=[], v=[])


@pytest.mark.parametrize(
    ("low", "high"), [(34.47, 118.0), (-7.0, 147.7), (0.2556, 0.5811), (0.0, 1.0), (5.0, 5.0 + 1e-9)]
)
def test_an_axis_has_a_few_round_values_inside_its_range(low: float, high: float):
    values = round_values(low, high, TICKS_Y)

    assert len(values) <= TICKS_Y + 1
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in values)
    assert all(len(f"{value:.4g}") <= 4 for value in values)


def test_no_time_on_the_axis_is_cut_off_at_the_edge():
    picture = draw(Chart("Cells", [Line([0.0, 86_400.0], [1.0, 2.0], "#000000", "")]), 0.0, 86_400.0)

    times = re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="(\w+)">\d\d \w{3} ', picture)
    assert len(times) > 1
    for x, side in times:
        right = float(x) + {"middle": 40.0, "end": 0.0}[side]  # 12 letters of 11 pixels are at most 80 wide
        assert right <= WIDTH
