"""The options of the bench say what they mean, and nonsense is refused by name."""

import pytest

from monitor.engine.choice import ENGINES
from monitor.errors import SettingsError
from services.bench.plan import make_plan


def test_without_options_every_engine_is_tried_and_none_is_built():
    plan = make_plan()

    assert plan.engines == ENGINES
    assert plan.engines[0] == "eager"
    assert not plan.build
    assert (plan.sizes, plan.batches, plan.rounds) == ((1024, 2048), (1, 2, 4, 8, 16), 10)
    assert plan.load and plan.parity


def test_named_engines_are_built_and_the_reference_is_always_first():
    plan = make_plan(engines="openvino-int8, eager,openvino")

    assert plan.engines == ("eager", "openvino-int8", "openvino")
    assert plan.build


def test_all_builds():
    assert make_plan(every=True).build


def test_quick_means_less_of_everything_but_what_is_written():
    plan = make_plan(quick=True, sizes="512")

    assert (plan.sizes, plan.batches, plan.rounds, plan.parity) == ((512,), (1, 8), 3, False)
    assert plan.load_s < make_plan().load_s


def test_single_frames_are_always_measured():
    assert make_plan(batches="8,4,8").batches == (1, 4, 8)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engines": "eager,abacus"}, "no engine 'abacus'"),
        ({"sizes": "1000"}, "frames of 1000 px"),
        ({"sizes": "4096"}, "tiles of 2048"),
        ({"sizes": "big"}, "--sizes 'big'"),
        ({"sizes": ","}, "--sizes is empty"),
        ({"batches": "0,4"}, "--batches"),
        ({"rounds": 0}, "--rounds 0"),
    ],
)
def test_nonsense_is_refused_by_name(options: dict, words: str):
    with pytest.raises(SettingsError, match=words):
        make_plan(**options)
