"""The feature contract of a potency model: which features, in which order, it was trained on and must be given."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from monitor.errors import ModelRefused
from monitor.features.catalogue import POPULATION, contract_digest


class FeatureContract(BaseModel):
    """Names in order, and the digest of the catalogue that defined them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...]
    catalogue: str

    @classmethod
    def of(cls, features: tuple[str, ...]) -> "FeatureContract":
        """Return the contract of features of the present catalogue."""
        return cls(features=features, catalogue=contract_digest())

    @property
    def digest(self) -> str:
        """sha256 of names, order and catalogue."""
        return hashlib.sha256("\n".join((self.catalogue, *self.features)).encode()).hexdigest()

    def check(self) -> None:
        """Refuse a model whose features this program defines otherwise or not at all."""
        known = {feature.name for feature in POPULATION}
        if self.catalogue != contract_digest() or not set(self.features) <= known:
            message = "the potency model was trained on other feature definitions; train it again with this version"
            raise ModelRefused(message, reason="contract")

    def row(self, features: Mapping[str, float]) -> NDArray[np.float64] | None:
        """Return the (F,) values in order; None when one is absent."""
        if any(name not in features for name in self.features):
            return None
        return np.array([features[name] for name in self.features], float)
