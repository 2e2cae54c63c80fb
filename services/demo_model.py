"""The demonstration model, said wherever what it estimated is shown."""

from collections.abc import Iterable
from functools import cache

from rich.console import Console

from monitor.potency.bundle import verify_bundle
from monitor.potency.model import DEMO

OF_DEMO = "the demonstration model made these estimates: it was trained on simulated cultures and knows no real cells"


def is_of_demo(models: Iterable[str]) -> bool:
    """Whether the demonstration model is among digests of models."""
    found = set(models)
    return bool(found) and _digest() in found


@cache
def _digest() -> str:
    return verify_bundle(DEMO)


def warn_of_demo(console: Console, models: Iterable[str]) -> None:
    """Say so where the demonstration model is among digests of models."""
    if is_of_demo(models):
        console.print(f"WARNING: {OF_DEMO}", markup=False, highlight=False, soft_wrap=True, style="bold yellow")
