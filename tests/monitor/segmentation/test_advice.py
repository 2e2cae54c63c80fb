import ast
import inspect
from typing import get_args

import pytest

from monitor.messages import FrameQuality
from monitor.segmentation import quality
from monitor.segmentation.advice import WHAT_HELPS, Reason, warning

FINE = FrameQuality(focus=1.0, illumination=0.0, saturated_fraction=0.0, confluency=0.3, doubt=0.55, passes=True)


def test_every_reason_that_is_given_has_its_sentence() -> None:
    body = ast.walk(ast.parse(inspect.getsource(quality._reason)))
    given = {node.value.value for node in body if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant)}
    assert given - {None} == set(get_args(Reason)) == set(WHAT_HELPS)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("not_understood", "; NOT TO BE RELIED ON: not_understood (doubt 0.55): the network has not learnt"),
        ("empty", "; NOT TO BE RELIED ON: empty: no cell was found"),
        ("of_a_later_version", "; NOT TO BE RELIED ON: of_a_later_version"),
    ],
)
def test_a_warning_says_why_and_what_helps(reason: str, said: str) -> None:
    found = warning(FINE.model_copy(update={"passes": False, "reason": reason}))
    assert found.startswith(said)


def test_what_can_be_relied_on_has_no_warning() -> None:
    assert warning(FINE) == ""
