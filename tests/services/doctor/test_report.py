import json

from services.doctor.check import Check, Level
from services.doctor.report import diagnose, exit_code, render
from services.settings import Settings


def test_this_machine_can_run_cellvigil(settings: Settings):
    checks = diagnose(settings, quick=True)

    assert exit_code(checks) == 0, render(checks)


def test_thorough_examination_adds_the_engines_and_models(settings: Settings):
    quick, thorough = ({check.name for check in diagnose(settings, quick=quick)} for quick in (True, False))

    assert thorough - quick >= {"torch", "torch-tensorrt", "openvino", "lightgbm", "segmenter weights"}


def test_examination_changes_nothing(settings: Settings):
    diagnose(settings, quick=True)

    assert not settings.state.exists()
    assert list(settings.watch.folder.iterdir()) == []


def test_names_are_unique(settings: Settings):
    names = [check.name for check in diagnose(settings, quick=True)]

    assert len(names) == len(set(names))


def test_only_a_problem_fails():
    warned = Check("disk", Level.WARNING, "little", "free some")
    failed = Check("clock", Level.PROBLEM, "1970", "set it")

    assert exit_code([warned]) == 0
    assert exit_code([warned, failed]) == 1
    assert render([warned, failed]).endswith("1 problem, 1 warning")


def test_json_is_a_list_of_checks():
    (line,) = json.loads(render([Check("disk", Level.OK, "9 GiB")], as_json=True))

    assert line == {"name": "disk", "level": "ok", "what": "9 GiB", "mend": ""}


def test_control_characters_of_a_folder_do_not_reach_the_terminal():
    report = render([Check("disk", Level.WARNING, "state\x1b[2J\n", "give\x07 another")])

    assert "\x1b" not in report
    assert "\x07" not in report
    assert len(report.splitlines()) == 3
