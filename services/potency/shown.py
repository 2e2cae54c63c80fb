"""How scores are shown to people."""

from collections.abc import Mapping

from rich.table import Table

from monitor.potency.report import BiomarkerReport


def score_table(reports: Mapping[str, BiomarkerReport]) -> Table:
    """Return a table: per biomarker the model, its density-adjusted twin, the linear model and the dummy."""
    table = Table(title="on held-out groups")
    for column in ("biomarker", "model", "R2 / AUC", "RMSE / Brier", "calibration error", "coverage", "samples"):
        table.add_column(column, justify="left" if column in ("biomarker", "model") else "right")
    for report in reports.values():
        first, second = ("r2", "rmse") if report.kind == "regressor" else ("auc", "brier")
        samples = f"{report.units} in {report.groups} groups" if report.groups else f"{report.rows} ungrouped rows"
        coverage = f"{report.coverage:.0%} of {report.coverage_nominal:.0%}"
        own = getattr(report, first), getattr(report, second)
        table.add_row(report.name, "trees", *map(_short, own), _short(report.ece), coverage, samples)
        others = {"adjusted for density": report.adjusted or {}, **report.baselines}
        for name, scores in others.items():
            if scores:
                numbers = (scores.get(first), scores.get(second), scores.get("ece"))
                table.add_row("", name, *map(_short, numbers), "", "")
    return table


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
