"""`/metrics` for Prometheus: units in names, a line of help for each (text exposition format 0.0.4)."""

import math
from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.dashboard.content import Content
from services.dashboard.endpoint import PageRequest
from services.dashboard.installation import Installation
from services.dashboard.schemas import FleetResponse, Health, Tile
from services.dashboard.tiles import fleet_of

MEDIA = CONTENT_TYPE_PLAIN_0_0_4
GIB = float(1 << 30)
Sample = tuple[dict[str, str], float]


def metrics(request: PageRequest) -> Content:
    """Return flasks, alarms, queues, lag and disk for Prometheus."""
    page = request.page
    fleet = fleet_of(page.hub.readings, page.settings, page.clock)
    health = page.overview.health()
    return Content(generate_latest(Gauges(_families(page, fleet, health))), MEDIA)


class Gauges(Collector):
    r"""Families of gauges by name, words and samples; a value that is not known is no sample, and none is no family.

    >>> samples = [({"flask": 'a"b'}, 1.5), ({"flask": "c"}, math.nan)]
    >>> print(generate_latest(Gauges([("a_percent", "b", samples)])).decode())
    # HELP a_percent b
    # TYPE a_percent gauge
    a_percent{flask="a\"b"} 1.5
    <BLANKLINE>
    """

    def __init__(self, families: Iterable[tuple[str, str, Iterable[Sample]]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yield the families that have a sample."""
        for name, words, samples in self._families:
            gauge = GaugeMetricFamily(name, words)
            for labels, value in samples:
                if not math.isnan(value):
                    gauge.add_sample(name, {label: _printing(text) for label, text in labels.items()}, value)
            if gauge.samples:
                yield gauge


def _families(page: Installation, fleet: FleetResponse, health: Health) -> Iterator[tuple[str, str, Iterable[Sample]]]:
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


def _printing(text: str) -> str:
    """Return text that UTF-8 can carry: names of files need not be."""
    return text.encode("utf-8", "replace").decode()
