"""The gate before every engine: it serves only when its labels and features agree with the reference engine's.

Whole chains are compared, not maps: a map may differ where nothing depends on it, and a small difference may cut a
cell in two.
"""

import contextlib
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import monitor
from monitor.engine.choice import AUTO, REFERENCE, make_engine, preferred
from monitor.engine.hardware import fingerprint
from monitor.engine.store import EngineStore, Verdict
from monitor.engine.tiled import TiledEngine
from monitor.engine.views import parity_views, views_digest
from monitor.errors import EngineFailure, FrameRejected
from monitor.features.catalogue import BASE_POPULATION, families_for
from monitor.features.featurizer import measure
from monitor.frames.frame import Frame
from monitor.messages import EngineParity
from monitor.network.checkpoint import SHIPPED, ModelCard, load_network, read_card
from monitor.segmentation.segmenter import Segmentation, Segmenter, serves_on_device
from monitor.training.metrics import match_instances, score

MIN_F1 = 0.995
MAX_COUNT_ERROR = 0.01
MAX_FEATURE_ERROR = 0.005


@dataclass(frozen=True, slots=True)
class Refusal:
    """An engine that was tried and does not serve, and why."""

    engine: str
    why: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """A segmenter that may serve: the engine that it took, its agreement with the reference, and what was refused."""

    segmenter: Segmenter
    engine: str
    parity: EngineParity | None
    refused: tuple[Refusal, ...]

    @property
    def why(self) -> str:
        """One line for a log and a status display."""
        if self.parity is None:
            agreement = "the reference engine"
        else:
            found = self.parity
            agreement = (
                f"agrees with eager: F1 {found.f1:.4f}, count {100 * found.count_error:.2f} %, "
                f"features {100 * found.feature_error:.2f} %"
            )
        others = "".join(f"; not {refusal.engine}: {refusal.why}" for refusal in self.refused)
        return f"{self.segmenter.engine_name}, {agreement}{others}"


def choose_segmenter(
    wanted: str = AUTO,
    weights: Path | None = None,
    *,
    threads: int | None = None,
    features: tuple[str, ...] = (),
    store: EngineStore | None = None,
    build: bool | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Chosen:
    """Return a segmenter whose engine has passed the gate.

    Parameters
    ----------
    wanted
        `auto` tries the engines that suit this machine, fastest first, and ends at the reference; a name is tried
        alone.
    features
        Population features that the potency model needs; they are compared beside those that every frame has.
    store
        Remembers comparisons, so that a restart does not repeat them.
    build
        Whether an engine that takes minutes to make may be made now; by default only one that was asked for by name.
    report
        Told what is being tried.

    Raises
    ------
    EngineFailure
        The engine that was asked for by name cannot run here, or `parity`: it disagrees with the reference.
    ModelRefused
        See `load_network`.
    """
    refused: list[Refusal] = []
    names = preferred() if wanted == AUTO else (wanted,)
    for name in names:
        report(f"trying {name}")
        key = verdict_key(name, read_card(weights or SHIPPED), features)
        known = None if store is None else store.verdict(key)
        if wanted == AUTO and known is not None and not known.parity.passes:
            refused.append(Refusal(name, f"disagrees with eager: {known.parity.reason}"))
            continue
        try:
            candidate = _segmenter(name, weights, threads, store, build=wanted != AUTO if build is None else build)
            parity = None
            if name != REFERENCE:
                parity = _judged(candidate, known, weights, threads, features)
                if store is not None:
                    store.keep_verdict(key, Verdict(engine_digest=candidate.engine_digest, parity=parity))
        except EngineFailure as error:
            if wanted != AUTO:
                raise
            refused.append(Refusal(name, str(error)))
            continue
        if parity is None or parity.passes:
            return Chosen(candidate, name, parity, tuple(refused))
        if wanted != AUTO:
            message = f"{candidate.engine_name} disagrees with eager: {parity.reason}; use `auto` or `eager`"
            raise EngineFailure(message, reason="parity")
        refused.append(Refusal(name, f"disagrees with eager: {parity.reason}"))
    raise AssertionError("the reference engine always serves")


def verdict_key(name: str, card: ModelCard, features: tuple[str, ...] = ()) -> str:
    """Return what a comparison depends on, as a digest: engine, weights, decoding, code, machine, frames, features.

    It is known before the engine is made, so that one that was refused is not made again at every start.
    """
    parts: dict[str, object] = {
        "engine": name,
        "versions": _versions(),
        "weights": card.sha256,
        "decode": card.decode.model_dump(),
        "code": monitor.__version__,
        "machine": fingerprint(),
        "views": views_digest(),
    }
    if more := _beyond_base(features):
        parts["features"] = more
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def compare(
    reference: Segmenter, candidate: Segmenter, frames: Sequence[Frame], features: tuple[str, ...] = ()
) -> EngineParity:
    """Compare two segmenters frame by frame, by labels, the features that every frame has, and `features`.

    F1 is of matches at an intersection over union of 0.5, over all frames together. Features of a frame are compared
    relative to the reference's, or to that feature's mean over all frames where that is larger, and averaged over
    frames: one cell more in a sparse frame is not yet a difference.
    """
    pairs = [(_found(reference, frame), _found(candidate, frame)) for frame in frames]
    f1s, counts = [], []
    for kind in ("cells", "nuclei"):
        true = [getattr(ours, kind) for ours, _ in pairs]
        found = [getattr(theirs, kind) for _, theirs in pairs]
        scores = score([match_instances(a, b, min_true_px=0) for a, b in zip(true, found, strict=True)])
        n_true, n_found = (sum(int(labels.max(initial=0)) for labels in some) for some in (true, found))
        f1s.append(1.0 if n_true == n_found == 0 else scores.f1)
        counts.append(abs(n_found - n_true) / max(n_true, 1))
    worst, error = _feature_error(frames, pairs, features)
    f1, count_error = float(np.clip(min(f1s), 0.0, 1.0)), max(counts)
    problems = [
        words
        for wrong, words in (
            (f1 < MIN_F1, f"F1 {f1:.4f} < {MIN_F1}"),
            (count_error > MAX_COUNT_ERROR, f"count off by {100 * count_error:.2f} %"),
            (error >= MAX_FEATURE_ERROR, f"{worst} off by {100 * error:.2f} %"),
        )
        if wrong
    ]
    return EngineParity(
        frames=len(frames),
        f1=f1,
        count_error=count_error,
        feature_error=error,
        worst_feature=worst,
        passes=not problems,
        reason=", ".join(problems) or None,
    )


def _segmenter(
    name: str, weights: Path | None, threads: int | None, store: EngineStore | None, *, build: bool
) -> Segmenter:
    network, card = load_network(weights or SHIPPED)
    engine = make_engine(name, network, card.sha256, threads=threads, store=store, build=build)
    return Segmenter(TiledEngine(engine), card, on_device=serves_on_device(name))


def _judged(
    candidate: Segmenter, known: Verdict | None, weights: Path | None, threads: int | None, features: tuple[str, ...]
) -> EngineParity:
    if known is not None and known.engine_digest == candidate.engine_digest:
        return known.parity
    reference = _segmenter(REFERENCE, weights, threads, None, build=False)
    return compare(reference, candidate, parity_views(), features)


def _versions() -> dict[str, str]:
    """Return the versions of everything that makes or runs an engine, as installed."""
    found = {}
    for library in ("torch", "openvino", "nncf", "tensorrt", "torch-tensorrt"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[library] = importlib.metadata.version(library)
    return found


def _found(segmenter: Segmenter, frame: Frame) -> Segmentation:
    (found,) = segmenter.segment([frame])
    if isinstance(found, FrameRejected):
        raise EngineFailure(f"{segmenter.engine_name} rejects a shipped frame: {found}", reason="parity") from found
    return found


def _beyond_base(features: tuple[str, ...]) -> tuple[str, ...]:
    """Return the features that not every frame has, sorted."""
    return tuple(sorted(set(features) - {feature.name for feature in BASE_POPULATION}))


def _feature_error(
    frames: Sequence[Frame], pairs: Sequence[tuple[Segmentation, Segmentation]], features: tuple[str, ...]
) -> tuple[str, float]:
    more = _beyond_base(features)
    families = families_for(more)
    tables = [
        [
            measure(frame, found.cells, found.nuclei, families=families).population
            for frame, found in zip(frames, side, strict=True)
        ]
        for side in zip(*pairs, strict=True)
    ]
    worst, largest = "none", 0.0
    for name in (*(feature.name for feature in BASE_POPULATION), *more):
        ours, theirs = (np.array([row.get(name, np.nan) for row in table]) for table in tables)
        if (np.isnan(ours) != np.isnan(theirs)).any():
            return name, 1.0
        if np.isnan(ours).all():
            continue
        scale = np.maximum(np.abs(ours), np.nanmean(np.abs(ours)))
        error = float(np.nanmean(np.abs(theirs - ours) / np.where(scale > 0.0, scale, 1.0)))
        if error > largest:
            worst, largest = name, error
    return worst, largest
