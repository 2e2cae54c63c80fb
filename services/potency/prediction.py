"""The command that predicts: a row out for every row in, an estimate or the reason why there is none."""

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from monitor.errors import SettingsError
from monitor.messages import EstimateState
from monitor.potency.biomarker import Biomarker
from monitor.potency.explain import explain
from monitor.potency.model import UNFAMILIAR, PotencyModel, Refusal, load_model
from services.demo_model import warn_of_demo
from services.potency.covariates import conditions_of, from_samples
from services.potency.dataset_shift import doubt_of_table
from services.potency.table_file import TableFile, read_table
from services.store.results import inert
from services.whole_file import check_writable, write_whole

Matrix = NDArray[np.float64]
STATE = "state"
REASON = "reason"
CELLS = ("n_cells", "cells")
FIELDS = ("n_fields", "fields")
TAKEN = "input_"
"""Before the name of an input column that is called as one of ours."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is said of every row of a table: the refusal or None, and columns of text by name.

    doubt: why the table as a whole is not of the training's kind; empty where nothing speaks against it.
    """

    refusals: list[Refusal | None]
    columns: dict[str, list[str]]
    doubt: str


def predict_command(folder: Path, table: Path, out: Path, samples: Path | None, *, explained: bool) -> int:
    """Write a row for every row of a table, in its order, with the columns that are no features as keys."""
    console = Console(stderr=True)
    check_writable(out)
    for read in (table, samples):
        if read is not None and out.exists() and read.exists() and out.samefile(read):
            raise SettingsError(f"--out is {read}, which is read; choose another file", reason="out")
    model = load_model(folder)
    file = read_table(table)
    prediction = predict_table(model, file, samples, explained=explained)
    new = set(prediction.columns)
    keys = {
        (f"{TAKEN}{name}" if name in new else name): texts
        for name, texts in file.columns.items()
        if name not in model.contract.features
    }
    columns = keys | prediction.columns
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([inert(name) for name in columns])
    writer.writerows(zip(*(_written(texts, number=name in new) for name, texts in columns.items()), strict=True))
    write_whole(out, stream.getvalue().encode())
    warn_of_demo(console, [model.digest])
    counts = Counter(refusal.reason for refusal in prediction.refusals if refusal is not None)
    assessed = len(file) - sum(counts.values())
    console.print(f"{assessed} of {len(file)} rows assessed", markup=False, highlight=False)
    for reason, count in counts.most_common():
        example = next(r.sentence for r in prediction.refusals if r is not None and r.reason == reason)
        console.print(
            f"not assessable: {count} rows, {reason} ({example})", markup=False, highlight=False, soft_wrap=True
        )
    if prediction.doubt:
        console.print(
            f"WARNING: {prediction.doubt}", markup=False, highlight=False, soft_wrap=True, style="bold yellow"
        )
    return 0


def predict_table(model: PotencyModel, file: TableFile, samples: Path | None, *, explained: bool = False) -> Prediction:
    """Return what a model says of every row of a table.

    Raises
    ------
    SettingsError
        `table` when a feature of the model is no column, or a cell holds text; the message names them.
    """
    rows = _rows(model, file)
    columns = dict(file.columns) | from_samples(samples, file)
    by_name = conditions_of(columns, file)
    conditions = [{name: values[number] for name, values in by_name.items()} for number in range(len(file))]
    refusals = [
        first or second for first, second in zip(_by_row(model, file), model.refusals(rows, conditions), strict=True)
    ]
    assessed = np.array([refusal is None for refusal in refusals], bool)
    refused = sum(refusal is not None and refusal.reason == UNFAMILIAR for refusal in refusals)
    doubt = doubt_of_table(model, file, rows[assessed], assessed, refused)
    states = [EstimateState.OK.value if yes else EstimateState.NOT_ASSESSABLE.value for yes in assessed]
    found = {
        STATE: states,
        REASON: ["" if refusal is None else refusal.reason for refusal in refusals],
        "detail": [doubt if refusal is None else refusal.sentence for refusal in refusals],
    }
    hours = [value if isinstance(value, float) else None for value in (known.get("hours") for known in conditions)]
    main = _main(model)
    answers = model.answers(rows[assessed]) if assessed.any() else {}
    for name, biomarker in model.biomarkers.items():
        before = "" if biomarker is main else f"{name}_"
        for column, values in _columns(biomarker, answers.get(name)).items():
            found[f"{before}{column}"] = _spread(values, assessed)
        if explained:
            drivers = explain(model, name, rows[assessed], [h for h, yes in zip(hours, assessed, strict=True) if yes])
            texts = ["; ".join(driver.sentence() for driver in row) for row in drivers] if assessed.any() else []
            found[f"{before}explanation"] = _spread(texts, assessed)
    return Prediction(refusals, found, doubt)


def _rows(model: PotencyModel, file: TableFile) -> Matrix:
    missing = [name for name in model.contract.features if name not in file.columns]
    if missing:
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        message = (
            f"{file.path} lacks {', '.join(map(repr, missing[:4]))}{more}, which the model was trained on; add them as "
            "columns of the same name and unit"
        )
        raise SettingsError(message, reason="table")
    return np.column_stack([file.numbers(name, empty=True) for name in model.contract.features])


def _by_row(model: PotencyModel, file: TableFile) -> list[Refusal | None]:
    """Return why the table itself says that a row cannot be assessed: its state, its cells, its flask's fields."""
    cells = _counts(file, CELLS)
    fields = _counts(file, FIELDS) or _positions(file)
    found: list[Refusal | None] = []
    for number in range(len(file)):
        state = file.columns[STATE][number] if STATE in file.columns else ""
        if state.casefold() not in ("ok", ""):
            reason = file.columns[REASON][number] if REASON in file.columns else state
            found.append(Refusal(reason or state, f"the table says of this row: {state}"))
        else:
            found.append(
                _too_few("cells", cells, number, model.spec.min_cells)
                or _too_few("fields", fields, number, model.spec.min_fields)
            )
    return found


def _too_few(what: str, counts: Sequence[float], number: int, least: int) -> Refusal | None:
    if least <= 0:
        return None
    if not counts or not math.isfinite(counts[number]):
        return Refusal(f"{what}_unknown", f"the model asks for {least} {what}, and the table does not count them")
    if counts[number] < least:
        return Refusal(f"too_few_{what}", f"{counts[number]:g} {what}; the model asks for {least}")
    return None


def _counts(file: TableFile, names: Sequence[str]) -> list[float]:
    name = next((name for name in names if name in file.columns), None)
    return [] if name is None else [float(count) for count in file.numbers(name, empty=True)]


def _positions(file: TableFile) -> list[float]:
    """Return how many fields of view the flask of each row has in the table."""
    if not {"flask", "position"} <= set(file.columns):
        return []
    seen: dict[str, set[str]] = {}
    for flask, position in zip(file.columns["flask"], file.columns["position"], strict=True):
        seen.setdefault(flask, set()).add(position)
    return [float(len(seen[flask])) for flask in file.columns["flask"]]


def _main(model: PotencyModel) -> Biomarker | None:
    """Return the biomarker whose columns carry no name: the index, or the only one."""
    indices = [part for part in model.biomarkers.values() if part.spec.index is not None]
    chosen = indices or list(model.biomarkers.values())
    return chosen[0] if len(chosen) == 1 else None


def _columns(biomarker: Biomarker, answers: Matrix | None) -> dict[str, list[str]]:
    if biomarker.spec.kind == "regressor":
        order = {"estimate": 1, "low": 0, "high": 2}
        return {name: [] if answers is None else _texts(answers[:, column]) for name, column in order.items()}
    if answers is None:
        return {"probability": [], "class": []}
    return {"probability": _texts(answers[:, 0]), "class": biomarker.open_classes(answers[:, 0])}


def _texts(values: Matrix) -> list[str]:
    return [f"{value:.6g}" for value in values]


def _spread(texts: Sequence[str], assessed: NDArray[np.bool_]) -> list[str]:
    """Lay texts of the assessed rows at their places; the others are empty."""
    remaining = iter(texts)
    return [next(remaining) if yes else "" for yes in assessed]


def _written(texts: Sequence[str], *, number: bool) -> list[str]:
    return list(texts) if number else [inert(text) for text in texts]
