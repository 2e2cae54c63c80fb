"""The command that trains: gather, check where it goes, train with a bar, tell what it is worth."""

import hashlib
import json
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

PLAIN_LINES = 10
"""So many lines per biomarker say how far it is where there is no terminal."""


def train_potency_command(
    question: Question, out: Path, plan: TrainingPlan, json_file: Path | None, replace: bool
) -> int:
    """Train and write a model; return 1, and write none, when no biomarker is better than the dummy."""
    console = Console(stderr=json_file is not None)
    _check_place(out, replace)
    gathered = gather(question)
    for note in gathered.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    for warning in gathered.warnings:
        console.print(f"WARNING: {warning}", markup=False, highlight=False, soft_wrap=True, style="bold yellow")
    if replace:
        _remove(out)
    with _told(console) as report:
        reports = train_potency(gathered.table, out, _card(question, gathered), plan, report)
    console.print(score_table(reports))
    if json_file is not None:
        text = json.dumps(_report(reports, gathered, plan), indent=1, allow_nan=False)
        json_file.write_text(text + "\n", encoding="utf-8")
    return _verdict(console, reports, out)


def _verdict(console: Console, reports: Mapping[str, BiomarkerReport], out: Path) -> int:
    for report in reports.values():
        if not report.better_than_dummy:
            what = "published because of --force" if report.published else "not published (--force would)"
            console.print(f"{report.name}: no better than the mean of the training rows; {what}", markup=False)
    if not any(report.published for report in reports.values()):
        console.print("no model was written", markup=False)
        return 1
    console.print(f"model in {out}; use it with: cellvigil predict {out} TABLE --out PRED.csv", soft_wrap=True)
    return 0


def _check_place(out: Path, replace: bool) -> None:
    if not out.exists():
        return
    if (out / MANIFEST).is_file() and not replace:
        message = f"{out} holds a model already; choose another --out, or add --replace to remove that one"
        raise SettingsError(message, reason="out")
    if not out.is_dir() or (any(out.iterdir()) and not (out / MANIFEST).is_file()):
        message = f"{out} exists and is no folder of a model; choose another --out"
        raise SettingsError(message, reason="out")


def _remove(out: Path) -> None:
    """Remove the files of the model that lies there, and no others."""
    manifest = out / MANIFEST
    if manifest.is_file():
        try:
            names = [Path(name).name for name in json.loads(manifest.read_text(encoding="utf-8"))]
        except ValueError as error:
            message = f"{manifest} is damaged, so it does not say which files are the model's; choose another --out"
            raise SettingsError(message, reason="out") from error
        for name in (*names, MANIFEST):
            (out / name).unlink(missing_ok=True)


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
