"""How each worker is put together from the settings, and run: the one place that knows all the parts."""

import threading
from pathlib import Path
from typing import Any

from monitor.errors import ModelRefused, SettingsError
from monitor.frames.reader import ReadLimits
from monitor.messages import MACHINE
from services.chain.actions import ActionCourier
from services.chain.memory import keep_freed_memory
from services.clock import make_clock
from services.settings import Settings
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.transport.file_blobs import FileLabels
from services.transport.redis_streams import RedisBus
from services.transport.runner import EXIT_OK, Runner
from services.transport.server import ensure_server
from services.transport.stage import Stage
from services.transport.streams import FLASK_EVENTS, FRAMES
from services.workers.frame_files import FrameFiles

WORKERS = ("ingester", "segmenter", "predictor", "notifier", "dashboard")
DRAINED_S = 2.0
"""A draining ingester ends after so many seconds without news."""


def run_worker(
    name: str,
    settings: Settings,
    stop: threading.Event,
    *,
    drain: bool = False,
    replica: int = 0,
    until_idle_s: float | None = None,
) -> int:
    """Run one worker until `stop` is set, or until its work is done when draining; return its exit code.

    Parameters
    ----------
    name
        One of `WORKERS`.
    replica
        Number of this process among those of its kind, from 0; predictors share the partitions by it.
    until_idle_s
        For the ingester: end after this many seconds without news, once every frame has its result.
    """
    if name not in WORKERS:
        raise SettingsError(f"there is no worker {name!r}; choose among {', '.join(WORKERS)}", reason="worker")
    keep_freed_memory()
    state = StateFolder(settings.state)
    state.create()
    if name == "dashboard":
        from services.dashboard.serve import serve

        return serve(settings, stop)
    url = ensure_server(settings.state, settings.server).url
    bus = RedisBus(url, settings.server.prefix)
    try:
        # before anybody publishes into the streams of now
        bus.rename_former(settings.predictor.partitions)
        if name == "ingester":
            ends_s = DRAINED_S if drain else until_idle_s
            return _run_ingester(settings, state, bus, stop, ends_s, until_settled=not drain)
        if name == "notifier":
            from services.delivery.notifier import run_notifier

            return run_notifier(settings, bus, stop, drain=drain)
        with SqliteRecord(state.record) as record:
            if name == "segmenter":
                return _segmenter(settings, state, bus, record, replica).run(stop, drain=drain)
            predictor = _predictor(settings, state, bus, record, replica)
            with ActionCourier(settings, state, url):
                return predictor.run(stop, drain=drain)
    finally:
        bus.close()


def _run_ingester(
    settings: Settings,
    state: StateFolder,
    bus: RedisBus,
    stop: threading.Event,
    until_idle_s: float | None,
    *,
    until_settled: bool,
) -> int:
    from services.ingest.ingester import Ingester
    from services.store.ledger import Ledger

    with Ledger(state.ledger) as ledger, SqliteRecord(state.record) as record:
        clock = make_clock(settings.clock)
        ingester = Ingester(
            settings,
            bus,
            ledger,
            record.settled,
            clock,
            standing=lambda: [s.channel for s in record.standings() if s.flask == MACHINE and s.raised is not None],
        )
        ingester.run(stop, until_idle_s=until_idle_s, until_settled=until_settled)
    return EXIT_OK


def _segmenter(settings: Settings, state: StateFolder, bus: RedisBus, record: SqliteRecord, replica: int) -> Runner:
    from monitor.engine.store import EngineStore
    from monitor.parity import choose_segmenter
    from services.workers.segmenter import SegmenterStage

    chosen = settings.segmenter
    store = EngineStore(state.engines)
    stage = SegmenterStage(
        frames=_frames(settings),
        record=record,
        labels=FileLabels(state.masks),
        load=lambda: choose_segmenter(
            chosen.engine,
            chosen.weights,
            threads=chosen.threads,
            features=features_needed(settings.predictor.model),
            store=store,
        ),
        partitions=settings.predictor.partitions,
    )
    return _runner(stage, bus, FRAMES.streams(1), settings, chosen.batch_size, record)


def features_needed(model: Path | None) -> tuple[str, ...]:
    """Return the features of a potency model, of the shipped one without a name, as far as frames have them.

    None of a model that cannot be read: the predictor refuses it and says why.
    """
    from monitor.potency.bundle import read_bundle, verify_bundle
    from monitor.potency.model import DEMO

    try:
        verify_bundle(model or DEMO)
        contract = read_bundle(model or DEMO).contract
        contract.check()
    except ModelRefused:
        return ()
    return tuple(name for name in contract.features if name not in contract.foreign)


def _predictor(settings: Settings, state: StateFolder, bus: RedisBus, record: SqliteRecord, replica: int) -> Runner:
    from monitor.potency.model import DEMO, load_live_model
    from services.workers.predictor import PredictorStage

    chosen = settings.predictor
    stage = PredictorStage(
        frames=_frames(settings),
        record=record,
        labels=FileLabels(state.masks),
        load=lambda: load_live_model(chosen.model or DEMO, min_fields=settings.culture.min_fields),
        culture=settings.culture,
        configuration=settings.digest,
    )
    mine = FLASK_EVENTS.streams(chosen.partitions, replica=replica, replicas=chosen.replicas)
    return _runner(stage, bus, mine, settings, chosen.batch_size, record)


def _runner(
    stage: Stage[Any],
    bus: RedisBus,
    streams: list[str],
    settings: Settings,
    batch_size: int,
    record: SqliteRecord,
) -> Runner:
    return Runner(stage, bus, streams, settings.delivery, batch_size=batch_size, on_failure=record.put_failure)


def _frames(settings: Settings) -> FrameFiles:
    limits = ReadLimits(max_bytes=settings.watch.max_frame_bytes)
    return FrameFiles(settings.watch.folder.resolve(), limits)
