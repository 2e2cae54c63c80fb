"""Two reports side by side: `cellvigil bench --compare A.json B.json`, and the JSON of any script in benchmarks/."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from monitor.errors import SettingsError

Report = dict[str, Any]

BEYOND = "beyond the spread"
CHANGING = {"load_before"}
"""Of a machine's description: what differs on one machine too."""
PERCENTILES = ("p50_s", "p95_s", "p99_s")


@dataclass(frozen=True, slots=True)
class Value:
    """A measured value with its unit; low and high are its 5-95 % span, None where it was measured once."""

    value: float
    unit: str
    low: float | None = None
    high: float | None = None

    def apart(self, other: "Value") -> bool | None:
        """Whether the spans do not meet; None where there is none to judge by."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return None
        return self.low > other.high or other.low > self.high


def show_comparison(first: Path, second: Path, console: Console) -> int:
    """Print both reports with the ratio of second to first; return 0.

    Raises
    ------
    SettingsError
        A file is not there, or is no report; says which.
    """
    one, other = read_report(first), read_report(second)
    for line in differences(one["machine"], other["machine"]):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    engines = [report["serving"]["runs"] for report in (one, other) if isinstance(report.get("serving"), dict)]
    if len(set(engines)) > 1:
        said = f"stages and load are of the fastest engine of each: {' | '.join(engines)}"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    console.print(comparison_table(one, other, str(first), str(second)))
    return 0


def read_report(file: Path) -> Report:
    """Return a report of the bench or of a script in benchmarks/.

    Raises
    ------
    SettingsError
        See `show_comparison`.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}; write one with `cellvigil bench --json FILE`"
        raise SettingsError(message, reason="no_report") from error
    except ValueError as error:
        raise SettingsError(
            f"{file} is not JSON; give a file of `cellvigil bench --json`", reason="no_report"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("machine"), dict) or not values_of(found):
        message = f"{file} is no report of a bench; give a file of `cellvigil bench --json` or of benchmarks/"
        raise SettingsError(message, reason="no_report")
    return found


def values_of(report: Report) -> dict[str, Value]:
    """Return every value of a report by its name; what a report lacks is left out."""
    found: dict[str, Value] = {}
    for measure in report.get("measures") or []:
        if measure.get("ratio") is not None:
            span = measure.get("low"), measure.get("high")
            found[f"{measure['name']}, ratio"] = Value(float(measure["ratio"]), "x", *span)
        if measure.get("value") is not None:
            found[f"{measure['name']}, value"] = Value(float(measure["value"]), "")
    found |= _engine_values(report.get("engines"))
    for name, stage in (report.get("stages_ms") or {}).items():
        found[f"stage {name}{_size(report)}"] = Value(stage["median"], "ms", *stage["p5_p95"])
    found |= _load_values(report)
    if isinstance(report.get("flasks_per_machine"), dict):
        found[f"flasks per machine{_size(report)}"] = Value(report["flasks_per_machine"]["flasks"], "flasks")
    return found


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for everything in which two machines, or what is installed on them, differ."""
    ours, theirs = _flat(one), _flat(other)
    lines = [
        f"  {name}: {ours.get(name, 'nothing said')} | {theirs.get(name, 'nothing said')}"
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name) and name not in CHANGING
    ]
    if lines:
        yield "measured on machines, or with versions, that differ:"
        yield from lines


def comparison_table(one: Report, other: Report, first: str, second: str) -> Table:
    """Return both reports by value, with the ratio of the second to the first."""
    table = Table(
        title=f"A: {first}\nB: {second}",
        caption=f"{BEYOND}: the 5-95 % spans of A and B do not meet; ?: measured once, so nothing can be said",
    )
    for column in ("value", "unit", "A", "B", "B / A", ""):
        table.add_column(column, justify="right" if column in ("A", "B", "B / A") else "left")
    ours, theirs = values_of(one), values_of(other)
    for name in dict.fromkeys([*ours, *theirs]):
        table.add_row(name, *_compared(ours.get(name), theirs.get(name)))
    return table


def _compared(a: Value | None, b: Value | None) -> tuple[str, str, str, str, str]:
    if a is None or b is None:
        here = a or b
        assert here is not None
        return here.unit, _shown(a), _shown(b), "", "only in one"
    ratio = f"{b.value / a.value:.3f}" if a.value else ""
    apart = a.apart(b)
    return a.unit, _shown(a), _shown(b), ratio, "?" if apart is None else BEYOND if apart else ""


def _shown(value: Value | None) -> str:
    return "-" if value is None else f"{value.value:.4g}"


def _engine_values(engines: object) -> dict[str, Value]:
    """Return times of a bench's engines; scripts may keep other things under that name."""
    found: dict[str, Value] = {}
    for engine in engines if isinstance(engines, list) else []:
        if not isinstance(engine, dict) or not engine.get("runs"):
            continue
        if engine.get("made_s") is not None:
            found[f"{engine['runs']} made"] = Value(engine["made_s"], "s")
        for times in engine.get("times") or []:
            if "ms_per_frame" in times:
                name = f"{engine['runs']}, {times['size_px']} px, batch {times['batch']}"
                per_frame = times["ms_per_frame"]
                found[name] = Value(per_frame["median"], "ms/frame", *per_frame["p5_p95"])
    return found


def _load_values(report: Report) -> dict[str, Value]:
    load = report.get("load") or {}
    found: dict[str, Value] = {}
    size = _size(report)
    for key, name in (("ready_s", "cold start"), ("first_frame_s", f"first frame{size}")):
        if key in load:
            found[name] = Value(load[key], "s")
    if "flat_out" in load:
        found[f"whole chain, flat out{size}"] = Value(load["flat_out"]["frames_per_s"], "frames/s")
    latencies = load.get("half_load") or report.get("live") or {}
    return found | {f"latency {key[:3]}{size}": Value(latencies[key], "s") for key in PERCENTILES if key in latencies}


def _size(report: Report) -> str:
    """Return the size of frames for a name, so that only what was measured on the same frames is compared."""
    serving = report.get("serving")
    return f", {serving['size_px']} px" if isinstance(serving, dict) else ""


def _flat(machine: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in machine.items() if name != "packages"} | dict(machine.get("packages") or {})
