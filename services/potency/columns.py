"""Which columns of a table a model learns from."""

from collections.abc import Iterable, Sequence

from monitor.errors import SettingsError
from monitor.features.catalogue import POPULATION
from monitor.potency.conditions import KINDS, RANGES
from monitor.potency.table import DENSITY
from services.potency.assay_file import ABOUT
from services.potency.covariates import HOURS
from services.potency.table_file import TableFile, is_empty, missing_column, numeric, some_of

COUNTS = ("n_cells", "cells", "n_nuclei", "nuclei", "n_fields", "fields", "pixel_size_um", "time_index", "frame")
STATE = "state"
"""A column that says of a row whether it may be used: `ok`, or anything else."""


def chosen_features(
    file: TableFile, wanted: Sequence[str], targets: Sequence[str], group: str | None
) -> tuple[tuple[str, ...], str]:
    """Return the columns to learn from, those wanted or else all measured ones, and a sentence about them.

    Raises
    ------
    SettingsError
        `table`, when one is no column, or none is left; `features`, when one of them is what is to be foretold.
    """
    for name in wanted:
        if name in targets:
            message = f"--features names {name!r}, which is what is to be foretold; leave it out"
            raise SettingsError(message, reason="features")
        if name not in file.columns:
            raise missing_column(file, name, "--features")
    found = tuple(dict.fromkeys(wanted)) or _measured(file, targets, group)
    others = "" if wanted else "; --features names others"
    return found, f"learns from {len(found)} columns: {some_of(found)}{others}"


def _measured(file: TableFile, targets: Sequence[str], group: str | None) -> tuple[str, ...]:
    """Return the measured features of a table; where it has none of ours but crowding, its columns of numbers too."""
    filled = {name for name, texts in file.columns.items() if not all(map(is_empty, texts))}
    catalogued = tuple(f.name for f in POPULATION if f.name in filled and f.name not in targets)
    if set(catalogued) - set(DENSITY):
        return catalogued
    never: set[str | None] = {*ABOUT, *COUNTS, *HOURS, *KINDS, *RANGES, STATE, *targets, group}
    others = _numbers(file, filled - never)
    if not others:
        message = f"{file.path} has no column of numbers to learn from; name some with --features A,B"
        raise SettingsError(message, reason="table")
    return (*others, *(name for name in catalogued if name not in others))


def _numbers(file: TableFile, names: Iterable[str | None]) -> tuple[str, ...]:
    allowed = set(names)
    return tuple(name for name, texts in file.columns.items() if name in allowed and numeric(texts))
