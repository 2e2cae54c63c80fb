"""The feature contract of a potency model: which features, in which order, it was trained on and must be given."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from monitor.errors import ModelRefused
from monitor.features.catalogue import contract_digest, population_features


class FeatureContract(BaseModel):
    """Names in order, and the digest of what the catalogue says of these and no other features.

    A feature that is added to the catalogue changes no contract; a unit or a definition that changes does, of the
    models that use it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...]
    catalogue: str

    @classmethod
    def of(cls, features: tuple[str, ...]) -> "FeatureContract":
        """Return the contract of features of the present catalogue.

        Raises
        ------
        ModelRefused
            `contract` when the catalogue has no feature of such a name.
        """
        return cls(features=features, catalogue=_defined(features))

    @property
    def digest(self) -> str:
        """sha256 of names, order and catalogue."""
        return hashlib.sha256("\n".join((self.catalogue, *self.features)).encode()).hexdigest()

    def check(self) -> None:
        """Refuse a model whose features this program defines otherwise or not at all."""
        if self.catalogue != _defined(self.features):
            message = "the potency model was trained on other feature definitions; train it again with this version"
            raise ModelRefused(message, reason="contract")

    def row(self, features: Mapping[str, float]) -> NDArray[np.float64] | None:
        """Return the (F,) values in order; None when one is absent."""
        if any(name not in features for name in self.features):
            return None
        return np.array([features[name] for name in self.features], float)


def _defined(names: tuple[str, ...]) -> str:
    try:
        return contract_digest(population_features(names))
    except KeyError as error:
        message = (
            f"this version measures no feature {error.args[0]!r}, which the potency model needs; train the model again "
            "with this version, or run the version that it was trained with"
        )
        raise ModelRefused(message, reason="contract") from error
