"""`/metrics` for Prometheus: units in names, a line of help for each (text exposition format 0.0.4)."""

import math
from collections.abc import Iterable, Iterator
from datetime import datetime

from services.dashboard.content import Content
from services.dashboard.endpoint import Asked
from services.dashboard.installation import Installation
from services.dashboard.shapes import Fleet, Health, Tile
from services.dashboard.tiles import fleet_of

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
GIB = float(1 << 30)
Sample = tuple[dict[str, str], float]


def metrics(asked: Asked) -> Content:
    """Return flasks, alarms, queues, lag and disk for Prometheus."""
    page = asked.page
    fleet = fleet_of(page.hub.readings, page.settings, page.clock)
    health = page.overview.health()
    lines = [line for family in _families(page, fleet, health) for line in _written(*family)]
    return Content("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"), MEDIA)


def _families(page: Installation, fleet: Fleet, health: Health) -> Iterator[tuple[str, str, Iterable[Sample]]]:
    flasks = fleet.flasks

    def of_flasks(name: str) -> list[Sample]:
        return [({"flask": tile.flask}, _number(getattr(tile, name))) for tile in flasks]

    yield "cellvigil_potency_percent", "rolling potency, percent of the reference lot", of_flasks("potency")
    yield "cellvigil_potency_low_percent", "lower bound of its interval", of_flasks("low")
    yield "cellvigil_potency_high_percent", "upper bound of its interval", of_flasks("high")
    yield "cellvigil_potency_trend_percent_per_day", "slope over the last frames", of_flasks("trend_per_day")
    yield "cellvigil_confluency_ratio", "share of the field covered by cells", of_flasks("confluency")
    yield "cellvigil_cells", "cells in the newest frames", of_flasks("cells")
    yield "cellvigil_estimates", "frames that were estimated", of_flasks("frames")
    yield "cellvigil_last_frame_age_seconds", "age of the newest frame", of_flasks("last_frame_age_s")
    yield "cellvigil_flask_state", "1 for the state that a flask is in", _states(flasks)
    yield "cellvigil_alarms_open", "alarms that stand", [({}, fleet.open_alarms)]
    yield "cellvigil_alarms_unseen", "alarms that nobody has acknowledged", [({}, fleet.unseen_alarms)]
    yield "cellvigil_lag_seconds", "age of the oldest frame without an estimate", [({}, health.lag_s)]
    yield "cellvigil_frames_waiting", "frames without a result", [({}, health.waiting_frames)]
    yield "cellvigil_frames_failed", "frames that a stage gave up", [({}, health.failures)]
    yield "cellvigil_files", "files of the ledger by state", _by("state", health.files)
    yield "cellvigil_deliveries", "notifications by state", _by("state", health.deliveries)
    yield "cellvigil_queue_entries", "entries that wait", [({"stream": q.stream}, q.waiting) for q in health.queues]
    yield "cellvigil_dead_letters", "what no worker could bring to an end", [({}, _number(health.dead_letters))]
    yield "cellvigil_workers", "processes that beat", _by("stage", _workers(health))
    yield "cellvigil_disk_free_bytes", "room on the disk of the state folder", [({}, health.disk_free_gib * GIB)]
    yield "cellvigil_audit_lines", "lines of the audit log", [({}, health.audit_lines)]
    yield "cellvigil_audit_intact", "1 while no line was changed by hand", [({}, float(health.audit_broken_at is None))]
    yield "cellvigil_page_tabs", "open tabs of the operator's page", [({}, page.hub.clients)]
    yield "cellvigil_page_tabs_dropped", "tabs that did not take what they were sent", [({}, page.hub.dropped)]
    yield "cellvigil_culture_time_seconds", "the culture's clock, since 1970", [({}, _seconds(fleet.now))]


def _written(name: str, words: str, samples: Iterable[Sample]) -> Iterator[str]:
    known = [(labels, value) for labels, value in samples if not math.isnan(value)]
    if not known:
        return
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} gauge"
    for labels, value in known:
        told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{{{told}}} {value:.10g}" if told else f"{name} {value:.10g}"


def _states(flasks: Iterable[Tile]) -> list[Sample]:
    return [
        ({"flask": tile.flask, "state": state}, float(tile.state == state))
        for tile in flasks
        for state in ("ok", "alarm", "stale", "no_data")
    ]


def _by(label: str, counts: dict[str, int]) -> list[Sample]:
    return [({label: name}, float(count)) for name, count in counts.items()]


def _workers(health: Health) -> dict[str, int]:
    found: dict[str, int] = {}
    for worker in health.workers:
        found[worker.stage] = found.get(worker.stage, 0) + 1
    return found


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _seconds(moment: datetime) -> float:
    return moment.timestamp()


def _escaped(text: str) -> str:
    r"""Return a label's value as the format wants it.

    >>> print(_escaped('a"b\\c\nd'))
    a\"b\\c\nd
    """
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
