"""From files to what a model is trained on: which columns are features, what belongs together, what was left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import SettingsError
from monitor.potency.conditions import Value
from monitor.potency.table import INDEX, Target, TrainingTable, add_index, make_target
from services.potency.assay_file import Joined, join, read_assays
from services.potency.columns import STATE, chosen_features
from services.potency.covariates import conditions_of, from_samples
from services.potency.table_file import TableFile, is_empty, missing_column, read_table, some_of

LEAST_UNITS = 10


@dataclass(frozen=True, slots=True)
class Question:
    """What the command asks for, as the options say it."""

    table: Path
    assay: Path | None = None
    samples: Path | None = None
    targets: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    group: str | None = None
    kind: str | None = None
    index: Mapping[str, float] = field(default_factory=dict)
    reference: str | None = None
    reference_column: str | None = None
    drop_incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Gathered:
    """A table to train on, and sentences about what was joined, left out and assumed."""

    table: TrainingTable
    notes: list[str]
    warnings: list[str]


def gather(question: Question) -> Gathered:
    """Read and join everything; the errors name file, row, column and the mend."""
    notes: list[str] = []
    file = read_table(question.table)
    joined, units = None, {}
    if question.assay is not None:
        assays = read_assays(question.assay, file)
        joined, units = join(file, assays), assays.units
        notes += _about_join(question, assays.keys, joined, assays.ignored)
    columns = dict(file.columns) | (joined.about if joined else {}) | from_samples(question.samples, file)
    usable = _usable(file, columns, notes)
    targets = _targets(question, file, joined, units)
    features, learns = chosen_features(file, question.features, tuple(targets), question.group)
    notes.append(learns)
    usable &= np.array([not all(map(is_empty, results)) for results in zip(*targets.values(), strict=True)])
    rows = np.column_stack([_column(file, name, usable, question) for name in features])
    complete = np.isfinite(rows).all(axis=1)
    if question.drop_incomplete and (left_out := int((usable & ~complete).sum())):
        notes.append(f"{left_out} rows were left out because a feature is empty")
    keep = np.flatnonzero(usable & complete)
    if not len(keep):
        message = f"no row of {file.path} is left to learn from: {'; '.join(notes)}"
        raise SettingsError(
            f"{message}. A row needs a result, a value of every feature, and a state of ok", reason="table"
        )
    table = TrainingTable(
        features=features,
        rows=rows[keep],
        targets={name: _target(name, column, keep, units, question) for name, column in targets.items()},
        group=_labels(file, columns, question.group, keep, "--group"),
        unit=_labels(file, columns, "flask", keep, "") if "flask" in columns else None,
        conditions=_kept(conditions_of(columns, file), keep),
    )
    return Gathered(_with_index(table, question, file, columns, keep), notes, _warnings(table, question))


def _about_join(question: Question, keys: Sequence[str], joined: Joined, ignored: Sequence[str]) -> list[str]:
    notes = [f"joined by {', '.join(keys)}: {joined.rows_with} rows of {question.table} have assay results"]
    if joined.rows_without:
        notes.append(f"without assay results: {some_of(joined.rows_without)}")
    if joined.assays_without:
        notes.append(f"results of {question.assay} without rows in the table: {some_of(joined.assays_without)}")
    if ignored:
        notes.append(f"columns of {question.assay} taken as remarks, not as biomarkers: {', '.join(ignored)}")
    return notes


def _usable(file: TableFile, columns: Mapping[str, Sequence[str]], notes: list[str]) -> NDArray[Any]:
    """Return which rows their own state lets through."""
    states = columns.get(STATE)
    if states is None:
        return np.ones(len(file), bool)
    usable = np.array([text.casefold() in ("ok", "") for text in states])
    if not usable.all():
        notes.append(f"{int((~usable).sum())} rows were left out because their state is not ok")
    return usable


def _targets(question: Question, file: TableFile, joined: Joined | None, units: dict[str, str]) -> dict[str, list[str]]:
    available = dict(joined.results) if joined else {}
    wanted = question.targets or (tuple(question.index) or tuple(available))
    if not wanted:
        message = "nothing to predict; give results with --assay FILE, or name a column of the table with --target"
        raise SettingsError(message, reason="target")
    found = {}
    for name in dict.fromkeys((*wanted, *question.index)):
        if name in available:
            found[name] = available[name]
        elif name in file.columns:
            found[name] = file.columns[name]
        else:
            known = ", ".join(available) or ", ".join(list(file.columns)[:12])
            where = f"neither in {question.assay} nor " if question.assay else "not "
            message = f"the biomarker {name!r} is {where}in {file.path}; there are: {known}"
            raise SettingsError(message, reason="target")
    return found


def _column(file: TableFile, name: str, usable: NDArray[Any], question: Question) -> NDArray[Any]:
    """Return a feature of all rows; cells of rows that are not used may hold anything."""
    lines = [line for line, use in zip(file.lines, usable, strict=True) if use]
    texts = [text for text, use in zip(file.columns[name], usable, strict=True) if use]
    values = np.full(len(file), np.nan)
    mend = ", or leave the column out with --features"
    held = TableFile(file.path, {name: texts}, lines)
    values[usable] = held.numbers(name, empty=question.drop_incomplete, mend=mend)
    return values


def _target(
    name: str, texts: Sequence[str], keep: NDArray[Any], units: Mapping[str, str], question: Question
) -> Target:
    kind = None if name in question.index else question.kind
    kept = [None if is_empty(texts[number]) else texts[number] for number in keep]
    return make_target(name, kept, unit=units.get(name, ""), kind="regressor" if name in question.index else kind)


def _labels(
    file: TableFile, columns: Mapping[str, Sequence[str]], name: str | None, keep: NDArray[Any], option: str
) -> NDArray[Any] | None:
    if name is None:
        return None
    if name not in columns:
        raise missing_column(file, name, option)
    for number in keep:
        if is_empty(columns[name][number]):
            raise file.error(file.lines[number], name, "is empty; every row needs to say what it belongs to")
    return np.array([columns[name][number] for number in keep], str)


def _kept(conditions: Mapping[str, Sequence[Value]], keep: NDArray[Any]) -> dict[str, list[Value]]:
    return {name: [values[number] for number in keep] for name, values in conditions.items()}


def _with_index(
    table: TrainingTable, question: Question, file: TableFile, columns: Mapping[str, Sequence[str]], keep: NDArray[Any]
) -> TrainingTable:
    if not question.index:
        return table
    column = question.reference_column or next((name for name in ("lot", "donor", "flask") if name in columns), None)
    if question.reference is None or column is None:
        message = "--index needs --reference LOT: the lot that is 100 %, as it stands in the column lot, donor or flask"
        raise SettingsError(message, reason="index")
    lots = _labels(file, columns, column, keep, "--reference")
    assert lots is not None
    index = add_index(table, question.index, lots, question.reference)
    return replace(table, targets={**table.targets, INDEX: index})


def _warnings(table: TrainingTable, question: Question) -> list[str]:
    found = []
    if question.group is None and table.unit is None:
        found.append(
            "NO GROUP: rows are held out one by one, as if each were independent. Cells and frames of one flask are "
            "not, so these scores are too good for a new flask, lot or donor; name the column with --group"
        )
    elif question.group is None:
        found.append("no --group: each flask is held out by itself; a new donor or lot may do worse")
    units = len(np.unique(table.units))
    if units < LEAST_UNITS:
        found.append(
            f"only {units} independent samples ({'flasks' if table.unit is not None else 'groups'}): intervals are as "
            "wide as the widest miss, and scores may change with every new one"
        )
    if not any(table.conditions.get("stimulation", ())):
        found.append("stimulation is not recorded: the model cannot refuse flasks that were stimulated otherwise")
    return found
