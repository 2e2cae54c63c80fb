from dataclasses import replace

import pytest

from monitor.errors import ModelRefused
from monitor.features import catalogue
from monitor.features.catalogue import POPULATION, Feature, contract_digest
from monitor.potency.contract import FeatureContract
from monitor.potency.model import DEMO

NAMES = ("area_median", "confluency", "fraction_spindle")


def test_values_come_in_the_order_of_the_contract() -> None:
    row = FeatureContract.of(NAMES).row({"confluency": 0.4, "fraction_spindle": 0.1, "area_median": 1900.0, "x": 5.0})
    assert row is not None
    assert row.tolist() == [1900.0, 0.4, 0.1]


def test_there_is_no_row_where_a_feature_is_absent() -> None:
    assert FeatureContract.of(NAMES).row({"confluency": 0.4, "area_median": 1900.0}) is None


def test_the_digest_is_of_names_order_and_catalogue() -> None:
    contract = FeatureContract.of(NAMES)
    assert contract.digest == FeatureContract.of(NAMES).digest
    others = [
        FeatureContract.of(NAMES[::-1]),
        FeatureContract.of(NAMES[:2]),
        FeatureContract(features=NAMES, catalogue="another"),
    ]
    assert len({contract.digest, *(other.digest for other in others)}) == 4


def test_a_contract_of_this_catalogue_is_kept() -> None:
    contract = FeatureContract.of(tuple(feature.name for feature in POPULATION))
    contract.check()
    assert contract.catalogue == contract_digest(POPULATION)


def test_a_feature_of_another_definition_is_refused() -> None:
    with pytest.raises(ModelRefused, match="train it again") as refused:
        FeatureContract(features=NAMES, catalogue="of another version").check()
    assert refused.value.reason == "contract"


@pytest.mark.parametrize("names", [("charm",), (*NAMES, "charm")])
def test_an_unknown_feature_is_refused_by_name(names: tuple[str, ...]) -> None:
    with pytest.raises(ModelRefused, match="'charm'") as refused:
        FeatureContract.of(names)
    assert refused.value.reason == "contract"
    with pytest.raises(ModelRefused, match="'charm'"):
        FeatureContract(features=names, catalogue="of another version").check()


def test_a_feature_that_a_model_does_not_use_may_come_and_change(monkeypatch: pytest.MonkeyPatch) -> None:
    before = FeatureContract.of(NAMES)
    others = [replace(f, version=2) if f.name == "cell_density" else f for f in POPULATION]
    monkeypatch.setattr(catalogue, "POPULATION", (Feature("charm", "1", "", ""), *others))
    before.check()
    assert FeatureContract.of(NAMES) == before


@pytest.mark.parametrize("change", [{"unit": "mm2"}, {"version": 2}])
def test_a_feature_that_a_model_uses_may_not_change(monkeypatch: pytest.MonkeyPatch, change: dict[str, object]) -> None:
    before = FeatureContract.of(NAMES)
    changed = tuple(replace(f, **change) if f.name == "area_median" else f for f in POPULATION)
    monkeypatch.setattr(catalogue, "POPULATION", changed)
    with pytest.raises(ModelRefused, match="train it again"):
        before.check()


def test_the_demo_model_keeps_this_catalogue() -> None:
    contract = FeatureContract.model_validate_json((DEMO / "contract.json").read_text(encoding="utf-8"))
    contract.check()
    assert contract == FeatureContract.of(contract.features)
