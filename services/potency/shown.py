"""How scores are shown to people."""

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table

from monitor.potency.report import BiomarkerReport


def score_table(reports: Mapping[str, BiomarkerReport]) -> Table:
    """Return a table: per biomarker the model, its twin with or without density, the linear model and the dummy."""
    table = Table(title="on what was held out", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("biomarker", "model", "R2/AUC", "RMSE/Brier", "ECE", "coverage", "samples"):
        table.add_column(column, justify="left" if column in ("biomarker", "model") else "right", overflow="fold")
    for report in reports.values():
        first, second = ("r2", "rmse") if report.kind == "regressor" else ("auc", "brier")
        samples = f"{report.units} in {report.groups} groups" if report.groups else f"{report.rows} rows"
        coverage = f"{report.coverage:.0%} of {report.coverage_nominal:.0%}"
        own = getattr(report, first), getattr(report, second)
        table.add_row(
            report.name,
            "trees" if report.unadjusted is None else "trees, adjusted",
            *map(_short, own),
            _short(report.ece),
            coverage,
            samples,
        )
        twin = ("adjusted", report.adjusted) if report.unadjusted is None else ("as measured", report.unadjusted)
        others = {twin[0]: twin[1] or {}, **report.baselines}
        for name, scores in others.items():
            if scores:
                numbers = (scores.get(first), scores.get(second), scores.get("ece"))
                table.add_row("", name, *map(_short, numbers), "", "")
    return table


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
