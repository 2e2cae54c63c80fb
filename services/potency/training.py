"""The command that trains: gather, check where it goes, train with a bar, tell what it is worth."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from monitor.errors import SettingsError
from monitor.potency.bundle import MANIFEST
from monitor.potency.report import BiomarkerReport
from monitor.potency.table import INDEX
from monitor.potency.train import Progress as Report
from monitor.potency.train import TrainingPlan, train_potency
from services.potency.gathering import Gathered, Question, gather
from services.potency.shown import score_table
from services.whole_file import check_writable, write_whole

PLAIN_LINES = 10
"""So many lines per biomarker say how far it is where there is no terminal."""


def train_potency_command(
    question: Question, out: Path, plan: TrainingPlan, json_file: Path | None, replace: bool
) -> int:
    """Train and write a model; return 1, and write none, when no biomarker is better than the dummy."""
    console = Console(stderr=json_file is not None)
    _check_place(out, replace)
    if json_file is not None:
        check_writable(json_file)
    gathered = gather(question)
    for note in gathered.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    for warning in gathered.warnings:
        console.print(f"WARNING: {warning}", markup=False, highlight=False, soft_wrap=True, style="bold yellow")
    try:
        with _told(console) as report:
            reports = train_potency(gathered.table, out, _card(question, gathered), plan, report, replace=replace)
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}); free disk space or choose another --out, and repeat"
        raise SettingsError(message, reason="out") from error
    console.print(score_table(reports))
    if json_file is not None:
        text = json.dumps(_report(reports, gathered, plan), indent=1, allow_nan=False)
        write_whole(json_file, f"{text}\n".encode())
    return _verdict(console, reports, out)


def _verdict(console: Console, reports: Mapping[str, BiomarkerReport], out: Path) -> int:
    for report in reports.values():
        if report.groups and report.auc is not None and report.auc_within is not None:
            within = f"within the groups that were held out the AUC is {report.auc_within:.3g}"
            why = "pooled, rows of groups that differ in how frequent a class is are ranked against each other"
            console.print(f"{report.name}: {within}; {why}", markup=False, highlight=False, soft_wrap=True)
        if not report.better_than_dummy:
            what = "published because of --force" if report.published else "not published (--force would)"
            by = "gains {:.3g} on it with a standard error of {:.3g}".format(*report.gain)
            line = f"{report.name}: no better than the mean of the training rows ({by}); {what}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not any(report.published for report in reports.values()):
        console.print("no model was written", markup=False)
        return 1
    console.print(f"model in {out}; use it with: cellvigil predict {out} TABLE --out PRED.csv", soft_wrap=True)
    return 0


def _check_place(out: Path, replace: bool) -> None:
    """Refuse a place that cannot be written, or where something lies that is not to be replaced."""
    manifest = out / MANIFEST
    if manifest.is_file() and not replace:
        message = f"{out} holds a model already; choose another --out, or add --replace to remove that one"
        raise SettingsError(message, reason="out")
    if manifest.is_file():
        _check_replaced(out)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        message = f"{out} exists and is no folder of a model; choose another --out"
        raise SettingsError(message, reason="out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}); choose another --out"
        raise SettingsError(message, reason="out") from error
    if not os.access(out.parent, os.W_OK):
        message = f"{out} cannot be written (permission denied); choose another --out"
        raise SettingsError(message, reason="out")


def _check_replaced(out: Path) -> None:
    """Refuse a model folder that holds more than the model's own files: the whole folder goes."""
    manifest = out / MANIFEST
    try:
        own = {MANIFEST, *json.loads(manifest.read_text(encoding="utf-8"))}
    except ValueError as error:
        message = f"{manifest} is damaged, so it does not say which files are the model's; choose another --out"
        raise SettingsError(message, reason="out") from error
    if more := sorted({path.name for path in out.iterdir()} - own):
        message = (
            f"{out} holds {more[0]!r} beside the model, which --replace would remove; move it, or choose another --out"
        )
        raise SettingsError(message, reason="out")


def _card(question: Question, gathered: Gathered) -> dict[str, Any]:
    """Return what the model was made of; times are left out, so that the same table makes the same model."""
    files = {"table": question.table, "assay": question.assay, "samples": question.samples}
    return {
        "name": "potency model",
        "data": {
            name: {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for name, path in files.items()
            if path is not None
        },
        "rows": len(gathered.table.rows),
        "grouped_by": question.group or ("flask" if gathered.table.unit is not None else None),
        "warnings": gathered.warnings,
        "intended_use": "research; estimates for samples like those it was trained on",
        "must_not_be_used_for": "releasing a batch, or samples of another kind than the training table's",
    }


def _report(reports: Mapping[str, BiomarkerReport], gathered: Gathered, plan: TrainingPlan) -> dict[str, Any]:
    """Return the report: the scores of the index or the only biomarker on top, all of them below."""
    main = reports.get(INDEX) or next(iter(reports.values()))
    return main.model_dump(mode="json") | {
        "biomarkers": {name: report.model_dump(mode="json") for name, report in reports.items()},
        "features": list(gathered.table.features),
        "notes": gathered.notes,
        "warnings": gathered.warnings,
        "false_alarm": plan.false_alarm,
        "ece_binning": "ten bins of equally many held-out rows",
    }


@contextmanager
def _told(console: Console) -> Iterator[Report]:
    """Give a function that shows how far it is: a bar on a terminal, some plain lines elsewhere."""
    if not console.is_terminal:
        yield _plainly(console)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def report(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done, total=total)

        yield report


def _plainly(console: Console) -> Report:
    def report(name: str, done: int, total: int) -> None:
        if done == total or done * PLAIN_LINES // total > (done - 1) * PLAIN_LINES // total:
            console.print(f"{name}: {done} of {total} heads grown", markup=False, highlight=False)

    return report
