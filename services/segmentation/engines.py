"""`cellvigil engine list|check|build`: what can run the network here, how it agrees with eager, and building it."""

import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from monitor.engine.choice import AUTO, ENGINES, REFERENCE, preferred
from monitor.engine.hardware import fingerprint
from monitor.engine.store import EngineStore
from monitor.errors import EngineFailure
from monitor.parity import Chosen, choose_segmenter


def list_engines(store: EngineStore) -> int:
    """Print what `auto` tries on this machine, and every engine that was built, with its state."""
    console = Console()
    machine = fingerprint()
    console.print(", ".join(f"{name}: {value}" for name, value in machine.items()), markup=False, soft_wrap=True)
    console.print(f"auto tries {', '.join(preferred())}, in this order", soft_wrap=True)
    table = Table()
    for name in ("built engine", "state", "weights", "versions", "folder"):
        table.add_column(name)
    entries = list(store.entries(machine))
    for entry in entries:
        if entry.manifest is None:
            table.add_row("?", entry.state, "", "", str(entry.folder))
            continue
        made = entry.manifest.built_for
        versions = " ".join(f"{name} {version}" for name, version in made.versions.items())
        table.add_row(made.engine, entry.state, made.weights_sha256[:12], versions, str(entry.folder))
    console.print(table if entries else "nothing was built yet: `cellvigil engine build NAME`", soft_wrap=True)
    return 0


def check_engines(name: str, weights: Path | None, store: EngineStore, threads: int | None) -> int:
    """Hold engines against eager on the shipped frames; return 1 when one that was named does not serve."""
    console = Console()
    table = Table(caption="F1, counts and features against eager on the shipped frames")
    for column in ("engine", "serves", "F1", "count", "features", "worst feature"):
        table.add_column(column)
    refused: list[str] = []
    names = [engine for engine in ENGINES if engine != REFERENCE] if name == AUTO else [name]
    for engine in names:
        try:
            with console.status(f"checking {engine}"):
                chosen = choose_segmenter(engine, weights, threads=threads, store=store, build=False)
        except EngineFailure as error:
            table.add_row(engine, "no")
            refused.append(f"{engine}: {error}")
        else:
            table.add_row(engine, "yes", *_numbers(chosen))
    console.print(table)
    for line in refused:
        console.print(line, markup=False, soft_wrap=True)
    return 0 if name == AUTO or not refused else 1


def build_engine(name: str, weights: Path | None, store: EngineStore, threads: int | None) -> int:
    """Build an engine into the store, where it is not there yet, and hold it against eager."""
    console = Console()
    started = time.monotonic()
    with console.status(f"building {name}: some minutes on a GPU, one or two on a CPU"):
        chosen = choose_segmenter(name, weights, threads=threads, store=store)
    console.print(f"{chosen.why}; {time.monotonic() - started:.0f} s", markup=False, soft_wrap=True)
    return 0


def _numbers(chosen: Chosen) -> tuple[str, str, str, str]:
    found = chosen.parity
    if found is None:
        return "1", "0 %", "0 %", "the reference"
    return (
        f"{found.f1:.4f}",
        f"{100 * found.count_error:.2f} %",
        f"{100 * found.feature_error:.2f} %",
        found.worst_feature,
    )
