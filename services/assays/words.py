"""How results are told to people."""

from collections.abc import Iterable

from rich.console import Console

from monitor.potency.agreement import Agreement, Range
from services.assays.facts import AssayResult
from services.telemetry import printable


def say(console: Console, text: str) -> None:
    """Print text as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def sentence(result: AssayResult) -> str:
    """Return a result beside its estimate, in words."""
    found, unit = result.link, f" {result.unit}" if result.unit else ""
    told = f"{printable(result.flask)} {printable(result.biomarker)}: measured {result.value:g}{unit}"
    if found.estimate is None:
        return f"{told}; not assessable ({found.reason}), so there is no estimate to hold it against"
    where = "inside" if result.inside else "OUTSIDE"
    frames = f"{len(found.frames)} frames up to {found.as_of_at:%Y-%m-%d %H:%M} UTC"
    return f"{told}, estimated {found.estimate:.4g} ({found.low:.4g} to {found.high:.4g}) from {frames}: {where}"


def coverage_in_words(found: Agreement) -> str:
    """Return a coverage in words that claim no more than the flasks bear.

    >>> from monitor.potency.agreement import Verdict
    >>> coverage_in_words(Agreement(results=4, flasks=4, inside=4.0, nominal=0.9, verdict=Verdict.TOO_FEW))
    '4 of 4 flasks inside: too few to judge'
    """
    if found.coverage is None or found.coverage_range is None:
        return f"{found.inside:.3g} of {found.flasks} flasks inside: {found.verdict}"
    low, high = found.coverage_range
    return f"{found.coverage:.0%} ({low:.0%} to {high:.0%}) of nominal {found.nominal:.0%}: {found.verdict}"


def ranged(value: float | None, within: Range | None) -> str:
    """Return a number with its range, or that it is not known.

    >>> ranged(1.0, (0.8, 1.2)), ranged(None, None)
    ('1 (0.8 to 1.2)', 'unknown')
    """
    return "unknown" if value is None or within is None else f"{value:.3g} ({within[0]:.3g} to {within[1]:.3g})"


def models_of(results: Iterable[AssayResult]) -> set[str]:
    """Return the digests of the models that made the estimates."""
    return {result.link.provenance.potency_model for result in results}
