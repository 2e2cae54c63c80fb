"""The feature contract of a potency model: which features, in which order, it was trained on and must be given.

Columns of a user's own table may be features too; they are `foreign`: no frame can be measured for them here.
"""

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
    models that use it. `foreign` are the features that no catalogue defines: columns of the training table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...]
    catalogue: str
    foreign: tuple[str, ...] = ()

    @classmethod
    def of(cls, features: tuple[str, ...]) -> "FeatureContract":
        """Return the contract of features of the present catalogue.

        Raises
        ------
        ModelRefused
            `contract` when the catalogue has no feature of such a name.
        """
        return cls(features=features, catalogue=_defined(features))

    @classmethod
    def of_table(cls, columns: tuple[str, ...]) -> "FeatureContract":
        """Return the contract of columns of a table, of which some may be features of the present catalogue."""
        foreign = tuple(name for name in columns if not _is_measured(name))
        return cls(features=columns, catalogue=_defined(_without(columns, foreign)), foreign=foreign)

    @property
    def digest(self) -> str:
        """sha256 of names, order and catalogue."""
        return hashlib.sha256("\n".join((self.catalogue, *self.features)).encode()).hexdigest()

    def check(self) -> None:
        """Refuse a model whose features this program defines otherwise or not at all."""
        if self.catalogue != _defined(_without(self.features, self.foreign)):
            message = "the potency model was trained on other feature definitions; train it again with this version"
            raise ModelRefused(message, reason="contract")

    def check_live(self) -> None:
        """Refuse a model that frames cannot serve, because it needs columns that are measured elsewhere."""
        if self.foreign:
            message = (
                f"the potency model needs {', '.join(map(repr, self.foreign[:3]))}"
                f"{f' and {len(self.foreign) - 3} more' if len(self.foreign) > 3 else ''}, which cellvigil does not "
                "measure on frames; use it with `cellvigil predict`, or train one on the table of `cellvigil features`"
            )
            raise ModelRefused(message, reason="contract")

    def row(self, features: Mapping[str, float]) -> NDArray[np.float64] | None:
        """Return the (F,) values in order; None when one is absent."""
        if any(name not in features for name in self.features):
            return None
        return np.array([features[name] for name in self.features], float)


def _is_measured(name: str) -> bool:
    try:
        population_features((name,))
    except KeyError:
        return False
    return True


def _without(names: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in others)


def _defined(names: tuple[str, ...]) -> str:
    try:
        return contract_digest(population_features(names))
    except KeyError as error:
        message = (
            f"this version measures no feature {error.args[0]!r}, which the potency model needs; train the model again "
            "with this version, or run the version that it was trained with"
        )
        raise ModelRefused(message, reason="contract") from error
