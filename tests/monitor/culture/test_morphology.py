"""Cells beside past good runs of the same hour: what is found, what is not, and what cannot be judged."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from cases.culture_rows import alarms_of, frame_row
from cases.good_runs import NAMES, Frames, reference, run_of
from cases.sample_messages import NOON
from pydantic import ValidationError

from monitor.culture.morphology import MorphologyWatch
from monitor.culture.reference import ReferenceTrajectory
from monitor.culture.rows import CultureRow
from monitor.culture.settings import CultureSettings
from monitor.culture.state import fold
from monitor.messages import AlarmChanged, Channel

REFERENCE = reference()
SETTINGS = CultureSettings(reference=REFERENCE)


def rows_of(frames: Frames, *, seeded_before_h: float | None = None) -> list[CultureRow]:
    rows: list[CultureRow] = []
    for number, (hour, features) in enumerate(frames):
        row = frame_row(number, focus=1.0 + 0.0001 * number)
        late = {} if seeded_before_h is None else {"hours": hour + seeded_before_h}
        rows.append(row.model_copy(update={"acquired_at": NOON + timedelta(hours=hour), "features": features} | late))
    return rows


def found(frames: Frames, settings: CultureSettings = SETTINGS, **more: float) -> list[AlarmChanged]:
    return [a for a in alarms_of(fold("A1", rows_of(frames, **more), settings)) if a.channel is Channel.MORPHOLOGY]


def test_the_reference_is_the_course_of_the_runs_and_how_far_they_lie_apart() -> None:
    assert REFERENCE.hours[0] == 1.0 and REFERENCE.hours[-1] == 47.0
    assert set(REFERENCE.runs) == {12}
    for name in NAMES:
        assert np.allclose(REFERENCE.centre[name], 100.0 + 0.8 * np.array(REFERENCE.hours), atol=5.0)
        assert 1.5 < np.mean(REFERENCE.sd[name]) < 8.0


def test_runs_of_the_same_kind_rarely_alarm_and_three_strange_features_of_twelve_are_found() -> None:
    healthy = [found(run_of(seed)) for seed in range(40)]
    assert sum(1 for alarms in healthy if alarms) <= 3
    strange = [found(run_of(seed, shift=8.0)) for seed in range(20)]
    onset = NOON + timedelta(hours=24)
    assert sum(1 for alarms in strange if alarms and alarms[-1].at >= onset) >= 18
    assert all(name in strange[0][0].cause for name in ("feature0_median",))
    assert strange[0][0].at - onset <= timedelta(hours=4)


def test_ages_are_those_of_the_seeding_where_it_is_known() -> None:
    assert found(run_of(5), seeded_before_h=20.0) != found(run_of(5))


def test_hours_that_no_good_run_reached_are_not_judged() -> None:
    late = [(hour + 100.0, features) for hour, features in run_of(3, shift=8.0)]
    watch = MorphologyWatch(REFERENCE, 12, 0.01)
    assert {watch.judge(hour, features, active=False).bad for hour, features in late} == {None}


def test_frames_that_lack_features_are_judged_by_the_others() -> None:
    frames = [(h, {n: v for n, v in features.items() if n != NAMES[5]}) for h, features in run_of(3, shift=8.0)]
    assert found(frames)
    assert found([(hour, {}) for hour, _ in frames]) == []


def test_without_a_reference_there_is_no_such_alarm() -> None:
    assert found(run_of(3, shift=30.0), CultureSettings()) == []


def test_a_difference_that_ends_clears_the_alarm() -> None:
    back = run_of(3, shift=8.0)[: 36 * 4] + run_of(3)[36 * 4 :]
    assert [alarm.state for alarm in found(back)] == ["raised", "cleared"]


def test_a_reference_is_read_from_its_file_and_is_part_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "reference.json"
    file.write_text(REFERENCE.model_dump_json())
    settings = CultureSettings.model_validate({"reference": str(file)})
    assert settings == SETTINGS
    assert CultureSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize("text", ["", "{}", '{"version": 2}'])
def test_what_is_no_reference_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "reference.json"
    file.write_text(text)
    with pytest.raises(ValidationError, match=r"reference\.json is none"):
        CultureSettings.model_validate({"reference": str(file)})
    with pytest.raises(ValidationError, match="cannot be read"):
        CultureSettings.model_validate({"reference": str(tmp_path / "none.json")})


def test_few_runs_and_runs_that_share_nothing_make_no_reference() -> None:
    with pytest.raises(ValueError, match="2 runs are too few"):
        ReferenceTrajectory.of({"a": run_of(1), "b": run_of(2)})
    apart = {f"run{n}": [(hour + 100.0 * n, features) for hour, features in run_of(n)] for n in range(3)}
    with pytest.raises(ValueError, match="share no hour"):
        ReferenceTrajectory.of(apart)
    broken = REFERENCE.model_dump() | {"runs": (12,)}
    with pytest.raises(ValidationError, match="do not fit together"):
        ReferenceTrajectory.model_validate(broken)
