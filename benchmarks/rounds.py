"""Two ways to the same end, timed in turns in one process, and the report that every benchmark writes."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

import monitor
from services.chain.memory import keep_freed_memory

keep_freed_memory()  # as the workers do; both sides of a comparison profit

Call = Callable[[], object]


def seconds(call: Call) -> float:
    """Return how long one call took."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def in_turns(name: str, ours: Call, peer: Call, *, against: str, version: str, rounds: int, warm: int = 2) -> dict:
    """Time two calls in turns and return one measure: the median of the ratios of a turn, and their 5-95 % span.

    Turns share whatever else the machine is doing; the first `warm` are not counted.
    """
    times = [(seconds(ours), seconds(peer)) for _ in range(warm + rounds)][warm:]
    return measure(name, [one for one, _ in times], [other for _, other in times], against=against, version=version)


def measure(name: str, ours: Sequence[float], peer: Sequence[float], *, against: str, version: str) -> dict:
    """Return one measure from paired times in seconds, and print it."""
    low, ratio, high = np.percentile(np.array(peer) / np.array(ours), [5, 50, 95])
    mine, theirs = 1000.0 * statistics.median(ours), 1000.0 * statistics.median(peer)
    print(
        f"{name:28} {mine:10.3f} ms   {against}: {theirs:10.3f} ms   ratio {ratio:.2f} ({low:.2f} to {high:.2f})",
        flush=True,
    )
    return {
        "name": name,
        "ratio": round(float(ratio), 3),
        "low": round(float(low), 3),
        "high": round(float(high), 3),
        "ms": round(mine, 4),
        "peer_ms": round(theirs, 4),
        "peer": against,
        "peer_version": version,
        "repeats": len(ours),
    }


def parser(documentation: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows --json."""
    made = argparse.ArgumentParser(description=(documentation or "").split("\n", 1)[0])
    made.add_argument("--json", type=Path, help="write the measures to this file")
    return made


def write(path: Path | None, measures: Sequence[dict], **more: Any) -> None:  # noqa: ANN401  # whatever JSON holds
    """Write the report, when a path was given."""
    if path is None:
        return
    report = {"version": monitor.__version__, "machine": machine(), "measures": list(measures)} | more
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
