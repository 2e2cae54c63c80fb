"""The engines that are measured: made here, with how long that took and how they agree with eager; or why not."""

import time
from dataclasses import dataclass

from monitor.engine.base import SegmentationEngine
from monitor.engine.choice import REFERENCE, make_engine
from monitor.engine.store import EngineStore, Verdict
from monitor.engine.tiled import TiledEngine
from monitor.engine.views import parity_views
from monitor.errors import EngineFailure
from monitor.messages import EngineParity
from monitor.network.checkpoint import SHIPPED, ModelCard, load_network
from monitor.parity import compare, verdict_key
from monitor.segmentation.segmenter import Segmenter, serves_on_device
from services.bench.plan import BenchPlan
from services.bench.progress import Teller


@dataclass(frozen=True, slots=True)
class Missing:
    """An engine that cannot run here, and why."""

    engine: str
    why: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine that runs here.

    made_s: seconds to read the weights and make it or load it from the store, libraries included where it is the first
    to need them; built_s: seconds to build it, None where that was not done now; parity: its agreement with eager, None
    for eager itself and where it was not checked.
    """

    name: str
    engine: SegmentationEngine
    segmenter: Segmenter
    made_s: float
    built_s: float | None = None
    parity: EngineParity | None = None

    @property
    def serves(self) -> bool:
        """Whether a worker would take it: the reference, or one that is known to agree with it."""
        return self.name == REFERENCE or (self.parity is not None and self.parity.passes)

    @property
    def agreement(self) -> str:
        """How it agrees with eager, in words."""
        if self.name == REFERENCE:
            return "the reference"
        if self.parity is None:
            return "not checked"
        if not self.parity.passes:
            return f"NO: {self.parity.reason}"
        return f"yes, F1 {self.parity.f1:.4f}"


def make_candidates(plan: BenchPlan, store: EngineStore, teller: Teller) -> tuple[list[Candidate], list[Missing]]:
    """Make every engine of the plan, the reference first; return those that run and those that do not.

    Raises
    ------
    ModelRefused
        See `load_network`.
    """
    found: list[Candidate] = []
    missing: list[Missing] = []
    with teller.part("making engines", len(plan.engines)) as step:
        for name in plan.engines:
            step(name)
            try:
                found.append(_candidate(name, plan, store, found[0].segmenter if found else None))
            except EngineFailure as error:
                missing.append(Missing(name, str(error)))
    return found, missing


def _candidate(name: str, plan: BenchPlan, store: EngineStore, reference: Segmenter | None) -> Candidate:
    built_s: float | None = None
    try:
        engine, card, made_s = _made(name, plan, store, build=False)
    except EngineFailure as error:
        if error.reason != "not_built" or not plan.build:
            raise
        _, _, built_s = _made(name, plan, store, build=True)
        engine, card, made_s = _made(name, plan, store, build=False)
    segmenter = Segmenter(TiledEngine(engine), card, on_device=serves_on_device(name))
    parity = None
    if reference is not None:
        parity = _parity(name, card, store, reference, segmenter, compare_now=plan.parity)
    return Candidate(name, engine, segmenter, made_s, built_s, parity)


def _made(
    name: str, plan: BenchPlan, store: EngineStore, *, build: bool
) -> tuple[SegmentationEngine, ModelCard, float]:
    started = time.perf_counter()
    network, card = load_network(plan.weights or SHIPPED)
    engine = make_engine(name, network, card.sha256, threads=plan.threads, store=store, build=build)
    return engine, card, time.perf_counter() - started


def _parity(
    name: str, card: ModelCard, store: EngineStore, reference: Segmenter, segmenter: Segmenter, *, compare_now: bool
) -> EngineParity | None:
    """Return the comparison that is kept for exactly this engine, or one made now and kept."""
    key = verdict_key(name, card)
    known = store.verdict(key)
    if known is not None and known.engine_digest == segmenter.engine_digest:
        return known.parity
    if not compare_now:
        return None
    parity = compare(reference, segmenter, parity_views())
    store.keep_verdict(key, Verdict(engine_digest=segmenter.engine_digest, parity=parity))
    return parity
