"""Lists and weights as they are written on a command line."""

from monitor.errors import SettingsError
from monitor.potency.number import is_measured, number_of

KINDS = ("regressor", "classifier")


def names_of(text: str | None) -> tuple[str, ...]:
    """Return names with commas between.

    >>> names_of("IDO, PGE2"), names_of(None)
    (('IDO', 'PGE2'), ())
    """
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def weights_of(text: str | None) -> dict[str, float]:
    """Return weights by name.

    >>> weights_of("IDO=0.5,PGE2=0.25")
    {'IDO': 0.5, 'PGE2': 0.25}

    Raises
    ------
    SettingsError
        `index`, when the text is not of that form.
    """
    weights = {}
    for part in names_of(text):
        name, equals, text = part.rpartition("=")
        weight = number_of(text)
        if equals and weight is not None and is_measured(weight):
            weights[name.strip()] = weight
        else:
            message = f"--index: {part!r} is no weight; write it as IDO=0.5,PGE2=0.5"
            raise SettingsError(message, reason="index")
    return weights


def check_range(name: str, value: float) -> float:
    """Return a share between 0 and 1, exclusive.

    Raises
    ------
    SettingsError
        `option`, when it is not one.
    """
    if not 0.0 < value < 1.0:
        message = f"{name} is {value:g}; it is a share between 0 and 1, such as 0.9"
        raise SettingsError(message, reason="option")
    return value


def check_kind(kind: str | None) -> str | None:
    """Return a kind of model.

    Raises
    ------
    SettingsError
        `option`, when there is none of that name.
    """
    if kind is not None and kind not in KINDS:
        message = f"--kind is {kind!r}; write regressor or classifier, or leave it out"
        raise SettingsError(message, reason="option")
    return kind
