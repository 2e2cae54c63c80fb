import pytest
from cases.culture_rows import frame_row

from monitor.culture.optics import OpticsWatch, Verdict
from monitor.culture.settings import CultureSettings

SETTINGS = CultureSettings(baseline_frames=8)


def watch(*, focus: float = 1.0, illumination: float = 0.05) -> OpticsWatch:
    """Return a watch that has learned a flask's first frames."""
    optics = OpticsWatch(SETTINGS)
    for number in range(SETTINGS.baseline_frames):
        verdict = optics.judge(frame_row(number, focus=focus, illumination=illumination), active=False)
        assert verdict == Verdict(False)
    return optics


def judge(optics: OpticsWatch, *, active: bool = False, **row: float) -> Verdict:
    return optics.judge(frame_row(99, **row), active=active)  # type: ignore[arg-type]


@pytest.mark.parametrize("usual", [0.2, 1.0, 30.0])
@pytest.mark.parametrize(("kept", "bad"), [(1.3, False), (1.0, False), (0.85, False), (0.7, True), (0.1, True)])
def test_focus_is_lost_when_a_quarter_of_the_flasks_own_is_gone(usual: float, kept: float, bad: bool) -> None:
    assert judge(watch(focus=usual), focus=kept * usual).bad is bad


def test_the_verdict_says_how_much_is_left() -> None:
    verdict = judge(watch(), focus=0.4)
    assert "40 %" in verdict.cause
    assert verdict.detection is not None
    assert verdict.detection.statistic > verdict.detection.limit


def test_a_flask_whose_focus_always_wandered_is_given_more_room() -> None:
    restless = OpticsWatch(SETTINGS)
    for number in range(8):
        restless.judge(frame_row(number, focus=(0.6, 1.6)[number % 2]), active=False)
    usual = (0.6 * 1.6) ** 0.5
    assert judge(restless, focus=0.7 * usual).bad is False
    assert judge(restless, focus=0.05 * usual).bad is True


def test_while_the_alarm_stands_focus_must_come_back_further() -> None:
    optics = watch()
    assert judge(optics, focus=0.8, active=False).bad is False
    assert judge(optics, focus=0.8, active=True).bad is True
    assert judge(optics, focus=0.9, active=True).bad is False


@pytest.mark.parametrize("reason", ["out_of_focus", "saturated"])
def test_what_the_frame_says_of_itself_is_bad_even_before_anything_was_learned(reason: str) -> None:
    verdict = OpticsWatch(SETTINGS).judge(frame_row(0, reason=reason), active=False)
    assert verdict.bad is True
    assert verdict.cause


@pytest.mark.parametrize("reason", ["not_understood", "empty"])
def test_what_is_not_the_optics_fault_is_not_theirs(reason: str) -> None:
    verdict = watch().judge(frame_row(9, reason=reason), active=False)
    assert verdict.bad is False


def test_where_nothing_is_to_be_seen_nothing_is_judged() -> None:
    assert judge(watch(), focus=0.0).bad is None
    assert judge(watch(), n_cells=SETTINGS.min_cells - 1).bad is None
    # what is plainly blurred is so with few cells too
    assert judge(watch(), n_cells=SETTINGS.min_cells - 1, focus=0.3).bad is True


def test_frames_with_few_cells_or_of_bad_quality_teach_nothing() -> None:
    optics = OpticsWatch(SETTINGS)
    for number in range(20):
        few = frame_row(number, n_cells=2, focus=50.0)
        assert optics.judge(few, active=False).bad is None
        optics.judge(frame_row(100 + number, reason="not_understood", focus=50.0), active=False)
    for number in range(SETTINGS.baseline_frames):
        optics.judge(frame_row(200 + number, focus=1.0), active=False)
    assert judge(optics, focus=0.95).bad is False
    assert judge(optics, focus=0.5).bad is True


def test_a_slow_loss_is_measured_against_the_first_frames() -> None:
    optics = watch()
    verdicts = [judge(optics, focus=1.0 - 0.01 * step).bad for step in range(40)]
    assert verdicts[:25] == [False] * 25
    assert verdicts[30:] == [True] * 10


@pytest.mark.parametrize(
    ("usual", "now", "bad"), [(0.05, 0.1, False), (0.05, 0.25, False), (0.05, 0.4, True), (0.5, 0.6, False)]
)
def test_light_counts_when_it_becomes_uneven(usual: float, now: float, bad: bool) -> None:
    verdict = judge(watch(illumination=usual), illumination=now)
    assert verdict.bad is bad
    if bad:
        assert "40 %" in verdict.cause
        assert "5 % is usual" in verdict.cause
        assert verdict.detection is None


def test_while_the_alarm_stands_light_must_come_back_further() -> None:
    optics = watch(illumination=0.05)
    assert judge(optics, illumination=0.25, active=False).bad is False
    assert judge(optics, illumination=0.25, active=True).bad is True
    assert judge(optics, illumination=0.1, active=True).bad is False


def test_a_short_baseline_is_provisional() -> None:
    assert watch().provisional
    assert not OpticsWatch(CultureSettings(baseline_frames=40)).provisional
