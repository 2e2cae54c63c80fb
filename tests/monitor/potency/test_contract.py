import pytest

from monitor.errors import ModelRefused
from monitor.features.catalogue import POPULATION, contract_digest
from monitor.potency.contract import FeatureContract

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
    assert contract.catalogue == contract_digest()


@pytest.mark.parametrize(
    "contract",
    [FeatureContract.of((*NAMES, "charm")), FeatureContract(features=NAMES, catalogue="of another version")],
)
def test_other_features_and_other_definitions_are_refused(contract: FeatureContract) -> None:
    with pytest.raises(ModelRefused) as refused:
        contract.check()
    assert refused.value.reason == "contract"


def test_the_digest_of_the_catalogue_follows_names_units_and_order() -> None:
    assert contract_digest(POPULATION) == contract_digest()
    assert contract_digest(POPULATION[::-1]) != contract_digest()
    assert contract_digest(POPULATION[1:]) != contract_digest()
