"""Names that a package gives without importing where they are made, until somebody asks for one (PEP 562)."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def given(package: str, places: Mapping[str, str], name: str) -> Any:  # noqa: ANN401 (whatever bears the name)
    """Return what a package gives under a name, importing the module that makes it.

    Parameters
    ----------
    package
        Name of the package, for the message.
    places
        Module by each name that the package gives.
    name
        The name that is asked for.

    Returns
    -------
    Any
        The function or class of that name.

    Raises
    ------
    AttributeError
        The package gives no such name.

    Examples
    --------
    >>> given("house", {"sqrt": "math"}, "sqrt")(9.0)
    3.0
    """
    if name not in places:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(import_module(places[name]), name)
