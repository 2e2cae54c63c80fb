"""Whether trying again can help."""

import pytest

from monitor import errors

RETRYABLE = {"FrameNotReady", "BackPressure", "EngineFailure"}


def kinds() -> list[type[errors.CellvigilError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_error_says_whether_trying_again_can_help(kind: type[errors.CellvigilError]):
    error = kind("the thing, and the mend", reason="code")

    assert isinstance(error, errors.CellvigilError)
    assert error.retryable is (kind.__name__ in RETRYABLE)
    assert error.reason == "code"
    assert str(error) == "the thing, and the mend"


def test_reason_has_a_default():
    assert errors.FrameRejected("x").reason == "error"
