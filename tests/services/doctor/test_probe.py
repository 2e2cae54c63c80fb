import time

from services.doctor.probe import Answer, ask, ask_python


def test_a_crash_is_an_answer():
    answer = ask_python("import os, sys; print('half', flush=True); os.abort()", 10.0)

    assert not answer.succeeded
    assert "half" in answer.output


def test_a_hang_is_an_answer():
    started = time.monotonic()

    assert ask_python("import time; time.sleep(60)", 0.5) == Answer(False, "no answer within 0 s")
    assert time.monotonic() - started < 10


def test_a_missing_command_is_an_answer():
    assert not ask(["/no/such/command"], 1.0).succeeded
