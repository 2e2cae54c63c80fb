import pytest

from monitor.potency.conditions import Conditions, plain

TRAINED = Conditions.of(
    {
        "stimulation": ["IFN-gamma", "IFN-γ", "ifng 10 ng"],
        "medium": ["", "none"],
        "passage": [3.0, 5.0, 4.0],
        "hours": [24.0, None, 72.0],
    }
)
USUAL = {"stimulation": "IFN-gamma", "medium": None, "passage": 4.0, "hours": 48.0}


def test_what_was_trained_is_kept_once_as_first_written() -> None:
    assert TRAINED.kinds == {"stimulation": ("IFN-gamma", "ifng 10 ng"), "medium": ("none",)}
    assert TRAINED.ranges == {"passage": (3.0, 5.0), "hours": (24.0, 72.0)}
    assert TRAINED.open == ("hours",)


def test_trained_conditions_pass_in_any_spelling() -> None:
    assert TRAINED.refusal(USUAL) is None
    assert TRAINED.refusal(USUAL | {"stimulation": " ifn γ ", "medium": "untreated", "passage": 5.0}) is None
    assert TRAINED.refusal(USUAL | {"hours": None}) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"stimulation": None}, "stimulation_not_trained"),
        ({"stimulation": "IFN-alpha"}, "stimulation_not_trained"),
        ({"medium": "serum-free"}, "medium_not_trained"),
        ({"passage": 6.0}, "passage_not_trained"),
        ({"passage": None}, "passage_unknown"),
        ({"passage": float("nan")}, "passage_unknown"),
        ({"hours": 73.0}, "hours_not_trained"),
    ],
)
def test_untrained_conditions_are_refused_with_a_sentence(changed: dict[str, object], reason: str) -> None:
    told = TRAINED.refusal(USUAL | changed)
    assert told is not None
    assert told[0] == reason
    assert "the model was trained with" in told[1]


def test_a_condition_that_nobody_gives_is_unknown() -> None:
    told = TRAINED.refusal({"passage": 4.0, "medium": None})
    assert told is not None and told[0] == "stimulation_unknown"


def test_a_condition_that_was_never_recorded_is_not_asked_for() -> None:
    assert Conditions.of({"stimulation": ["", ""], "passage": [None, None]}) == Conditions()
    assert Conditions().refusal({"stimulation": "TNF", "passage": 30.0}) is None


def test_spellings_of_one_stimulus_agree_and_of_two_differ() -> None:
    assert len({plain(name) for name in ("IFN-γ", "IFN-gamma", "ifn gamma", "IFN γ")}) == 1
    assert len({plain(name) for name in ("IFN-gamma", "IFN-alpha", "TNF", "", "IFN-gamma+TNF")}) == 5
