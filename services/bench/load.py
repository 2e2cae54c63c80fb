"""Load on the real processes: what they get through, and how long a frame takes when half of that is offered."""

import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monitor.errors import EngineFailure
from monitor.parity import Chosen
from services.bench.alone import StagesAlone
from services.bench.chain import SETTLE_S, ChainUnderLoad, Offered, running_chain
from services.bench.frames import FrameSource
from services.bench.progress import Teller

FIRST_FRAMES = 4
"""Frames before any that counts: the network meets their size, code is compiled."""
LEAST_BATCHES = 4
LEAST_FRAMES = 20
MOST_BYTES = 2**30
"""Frames of one offer take no more room than this on the disk."""
HALF = 0.5
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What is offered.

    engine, threads, weights: as in the settings of the segmenter; engines: folder of built ones; load_s: how long
    frames come at half of the capacity, and twice as long as the backlog before should take; expected_per_s: frames per
    second to expect, by which the backlog is chosen.
    """

    engine: str
    load_s: float
    expected_per_s: float
    threads: int | None = None
    weights: Path | None = None
    engines: Path | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What the processes did.

    ready_s: seconds from the start of the processes until all were ready; first_s: from file closed to estimate of the
    first frame after that; flat_out: a backlog; half: frames at `rate_per_s`, half of what the backlog came to; batch:
    frames of a batch of the workers.
    """

    engine: str
    ready_s: float
    first_s: float
    flat_out: Offered
    half: Offered
    rate_per_s: float
    batch: int

    @property
    def throughput_per_s(self) -> float:
        """Frames per second through the whole chain while a backlog is there."""
        return self.flat_out.throughput_per_s(self.batch)

    def report(self) -> dict[str, Any]:
        """Return it as plain values, with units in the names."""
        return {
            "engine": self.engine,
            "settle_s": SETTLE_S,
            "ready_s": round(self.ready_s, 2),
            "first_frame_s": round(self.first_s, 3),
            "flat_out": {
                "frames": len(self.flat_out.closed),
                "failed": self.flat_out.failed,
                "lost": self.flat_out.lost,
                "frames_per_s": round(self.throughput_per_s, 3),
            },
            "half_load": {
                "frames": len(self.half.closed),
                "failed": self.half.failed,
                "lost": self.half.lost,
                "rate_per_s": round(self.rate_per_s, 3),
                **latency_report(self.half.latencies_s),
            },
        }


@dataclass(frozen=True, slots=True)
class Held:
    """One round of the whole chain against its stages alone, all in frames per second."""

    whole_per_s: float
    alone_per_s: dict[str, float]

    @property
    def slowest(self) -> str:
        """Name of the slowest stage."""
        return min(self.alone_per_s, key=lambda name: self.alone_per_s[name])

    @property
    def ratio(self) -> float:
        """What the whole chain gets through, as a fraction of its slowest stage alone."""
        return self.whole_per_s / self.alone_per_s[self.slowest]


def measure_load(plan: LoadPlan, source: FrameSource, teller: Teller) -> Load:
    """Start the processes, give them a backlog, then half of what they got through, and end them.

    Raises
    ------
    EngineFailure
        No frame came through.
    """
    with tempfile.TemporaryDirectory(prefix="cellvigil-bench-") as name, teller.part("load", 3) as step:
        place = Path(name)
        step(f"starting the processes with {plan.engine}")
        with started(plan, place) as chain:
            first = warmed(chain, source, place)
            batch = chain.settings.segmenter.batch_size
            backlog = frames_for(plan.load_s / 2.0, plan.expected_per_s, source, least=LEAST_BATCHES * batch)
            step(f"a backlog of {backlog} frames")
            flat_out = chain.offer(source.stage(place / "staged", backlog), None)
            rate = HALF * flat_out.throughput_per_s(batch)
            count = frames_for(plan.load_s, rate, source, least=LEAST_FRAMES)
            step(f"{count} frames, {rate:.2f} a second")
            half = chain.offer(source.stage(place / "staged", count), rate)
            return Load(plan.engine, chain.ready_s, first, flat_out, half, rate, batch)


def hold_against_stages(
    chain: ChainUnderLoad, chosen: Chosen, source: FrameSource, place: Path, *, rounds: int, frames: int, teller: Teller
) -> list[Held]:
    """Return rounds of the stages alone, in this process while the chain rests, and of the whole chain after them."""
    batch = chain.settings.segmenter.batch_size
    alone = StagesAlone(place / "alone", chosen, batch)
    held = []
    try:
        # the first round of each is not counted: code is compiled, memory is found
        alone.frames_per_s(source.stage(place / "unseen", batch), place / "unseen")
        with teller.part("chain against stages", 2 * rounds) as step:
            for number in range(rounds):
                staged = source.stage(place / f"round-{number}", frames)
                step(f"round {number + 1} of {rounds}: stages alone")
                each = alone.frames_per_s(staged, place / f"round-{number}")
                step(f"round {number + 1} of {rounds}: the whole chain")
                whole = chain.offer(staged, None)
                held.append(Held(whole.throughput_per_s(batch), each))
    finally:
        alone.close()
    return held


def started(plan: LoadPlan, place: Path) -> AbstractContextManager[ChainUnderLoad]:
    """Return the chain of a plan, to be entered."""
    return running_chain(
        place / "chain", engine=plan.engine, threads=plan.threads, weights=plan.weights, engines=plan.engines
    )


def warmed(chain: ChainUnderLoad, source: FrameSource, place: Path) -> float:
    """Send the first frames; return seconds from file closed to estimate of the very first.

    Raises
    ------
    EngineFailure
        None came through.
    """
    offered = chain.offer(source.stage(place / "staged", FIRST_FRAMES), None)
    if not offered.latencies_s:
        message = "no frame came through the chain; `cellvigil doctor` looks for the reason"
        raise EngineFailure(message, reason="no_frame")
    return offered.latencies_s[0]


def frames_for(seconds: float, rate_per_s: float, source: FrameSource, *, least: int) -> int:
    """Return how many frames to offer for so many seconds at a rate, within the room that they may take."""
    most = max(least, MOST_BYTES // source.frame_bytes)
    return min(most, max(least, round(seconds * rate_per_s)))


def latency_report(latencies_s: Sequence[float]) -> dict[str, float]:
    """Return the percentiles that are reported, in seconds."""
    p50, p95, p99 = (round(float(value), 4) for value in np.percentile(np.asarray(latencies_s), [50, 95, 99]))
    return {"p50_s": p50, "p95_s": p95, "p99_s": p99, "most_s": round(max(latencies_s), 4)}


def tail_ratio(latencies_s: Sequence[float]) -> tuple[float, float, float]:
    """Return p99 over p50 with the 5-95 % span of the bootstrap: how far the slowest frames lie from the usual one."""
    values = np.asarray(latencies_s)
    drawn = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    p50, p99 = np.percentile(drawn, [50, 99], axis=1)
    low, high = np.percentile(p99 / p50, [5, 95])
    return float(np.percentile(values, 99) / np.percentile(values, 50)), float(low), float(high)
