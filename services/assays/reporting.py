"""The command that says how estimates agree with later results."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from monitor.potency.agreement import CONFIDENCE, LEAST_FLASKS, Agreement, Verdict
from services.assays.log import AssayLog
from services.assays.score import BiomarkerAgreement, recorded_results, score
from services.assays.words import coverage_in_words, models_of, ranged, say
from services.demo_model import OF_DEMO, is_of_demo, warn_of_demo
from services.figure import check_matplotlib
from services.state_folder import recorded_state
from services.whole_file import write_png, write_whole


def report_command(states: Sequence[Path], last: int, json_file: Path | None, plot: Path | None) -> int:
    """Print, write and draw the agreement of every biomarker; return the exit code.

    Raises
    ------
    SettingsError
        A file cannot be written, or a picture is wanted and matplotlib is missing.
    """
    console = Console()
    if plot is not None:
        check_matplotlib()
    recorded = recorded_results(states)
    results = [one.result for one in recorded]
    found = score(recorded, last)
    if json_file is not None:
        report = {
            "states": [str(folder) for folder in states],
            "heads": [_head(folder) for folder in states],
            "last": last,
            "confidence": CONFIDENCE,
            "least_flasks": LEAST_FLASKS,
            "warning": OF_DEMO if is_of_demo(models_of(results)) else None,
            "biomarkers": {one.biomarker: one.model_dump(mode="json") for one in found},
        }
        write_whole(json_file, (json.dumps(report, indent=1, allow_nan=False) + "\n").encode())
    if not found:
        say(console, "no results are recorded here; `cellvigil assay add` records one")
        return 0
    for one in found:
        for line in _lines(one, last):
            say(console, line)
    warn_of_demo(console, models_of(results))
    if plot is not None:
        from services.assays.picture import draw

        write_png(plot, draw(found, recorded, last))
        say(console, f"drawn in {plot}")
    return 0


def _lines(one: BiomarkerAgreement, last: int) -> Iterator[str]:
    name = f"{one.biomarker} ({one.unit})" if one.unit else one.biomarker
    yield f"{name}: {one.whole.results} results of {one.whole.flasks} flasks"
    yield from _scores(one.whole)
    if one.whole.results > last:
        yield f"  the last {last}: coverage {coverage_in_words(one.last)}"
    if len(one.by_model) > 1:
        for model, part in one.by_model.items():
            yield f"  by model {model[:12]}: coverage {coverage_in_words(part)}"
    if one.not_assessable:
        count = f"{one.not_assessable} of {one.results} results"
        yield f"  {count} had no estimate (not assessable); they are listed and not scored"


def _scores(found: Agreement) -> Iterator[str]:
    yield f"  coverage {coverage_in_words(found)}"
    if found.verdict is Verdict.TOO_FEW:
        yield f"  {LEAST_FLASKS} flasks are needed at least"
    else:
        bias, slope = ranged(found.bias, found.bias_range), ranged(found.slope, found.slope_range)
        yield f"  bias {bias}, RMSE {found.rmse:.3g}, slope {slope}"


def _head(folder: Path) -> str:
    path = recorded_state(folder).assays
    if not path.is_file():
        return ""
    with AssayLog(path, readonly=True) as log:
        return log.head()
