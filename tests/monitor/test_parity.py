"""The gate before every engine, with engines whose faults are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases.plain_engine import CARD, PlainEngine, disc_frame, disc_grid, disc_pixels

import monitor.parity
from monitor.engine.base import SegmentationEngine
from monitor.engine.eager import EagerEngine
from monitor.engine.store import EngineStore
from monitor.engine.views import parity_views
from monitor.errors import EngineFailure
from monitor.frames.frame import Frame
from monitor.network.checkpoint import SHIPPED, read_card
from monitor.network.segnet import Map, SegmentationNetwork
from monitor.parity import choose_segmenter, compare, verdict_key
from monitor.segmentation.segmenter import Segmenter

FRAMES = [disc_frame(disc_grid(20)), disc_frame(disc_grid(25))]

Change = Callable[[np.ndarray], None]


class ChangedEngine(PlainEngine):
    """The plain engine with a fault."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        maps = super().__call__(batch)
        self.change(maps)
        return maps


def with_fault(change: Change) -> Segmenter:
    return Segmenter(ChangedEngine(change), CARD)


PLAIN = Segmenter(PlainEngine(), CARD)


def test_an_engine_agrees_with_itself_down_to_the_smallest_nuclei() -> None:
    small = Frame(disc_pixels(disc_grid(20), radius=9.5), 1.0)
    (found,) = PLAIN.segment([small])
    areas = np.bincount(found.nuclei.ravel())[1:]  # type: ignore[union-attr]
    assert len(areas) == 20 and areas.max() < 40
    parity = compare(PLAIN, PLAIN, [small, *FRAMES])
    assert parity.passes and parity.reason is None
    assert (parity.f1, parity.count_error, parity.feature_error, parity.frames) == (1.0, 0.0, 0.0, 3)


def test_a_lost_cell_is_seen() -> None:
    def lose_one(maps: np.ndarray) -> None:
        maps[:, Map.CELL, :32, :32] = -9.0

    parity = compare(PLAIN, with_fault(lose_one), FRAMES)
    assert not parity.passes
    assert parity.count_error == pytest.approx(2 / 45)
    assert "count off by 4.44 %" in (parity.reason or "") and "F1 0.97" in (parity.reason or "")


def test_outlines_that_moved_are_seen_by_the_features() -> None:
    def shrink(maps: np.ndarray) -> None:
        maps[:, Map.CELL][maps[:, Map.CELL_CENTRE] < 0.15] = -9.0

    parity = compare(PLAIN, with_fault(shrink), FRAMES)
    assert parity.f1 == 1.0 and parity.count_error == 0.0
    assert not parity.passes and parity.feature_error > 0.005
    assert parity.worst_feature in (parity.reason or "")


def test_features_that_a_potency_model_needs_are_compared_too() -> None:
    def shrink(maps: np.ndarray) -> None:
        maps[:, Map.CELL][maps[:, Map.CELL_CENTRE] < 0.15] = -9.0

    base = compare(PLAIN, with_fault(shrink), FRAMES)
    more = compare(PLAIN, with_fault(shrink), FRAMES, ("area_median", "halo_contrast_p10"))
    assert more.feature_error > base.feature_error
    assert more.worst_feature == "halo_contrast_p10" != base.worst_feature
    assert "halo_contrast_p10 off by" in (more.reason or "")
    assert compare(PLAIN, PLAIN, FRAMES, ("halo_contrast_p10",)).passes
    assert compare(PLAIN, with_fault(shrink), FRAMES, ("area_median",)) == base


def test_an_empty_answer_is_no_agreement() -> None:
    def nothing(maps: np.ndarray) -> None:
        maps[:, Map.CELL] = -9.0

    parity = compare(PLAIN, with_fault(nothing), FRAMES)
    assert not parity.passes and parity.f1 == 0.0


def test_a_frame_that_is_rejected_is_a_failure() -> None:
    unreadable = Frame(np.full((160, 192), np.nan, np.float32), 1.0)
    with pytest.raises(EngineFailure, match="rejects a shipped frame") as caught:
        compare(PLAIN, PLAIN, [unreadable])
    assert caught.value.reason == "parity"


needs_weights = pytest.mark.skipif(not SHIPPED.is_file(), reason="no weights lie in monitor/network/weights")


class Workshop:
    """Stands in for the making of engines: keeps what was made, and makes some of them wrong or not at all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self.wrong = {"openvino-int8"}
        self.missing = {"tensorrt"}
        monkeypatch.setattr(monitor.parity, "make_engine", self.make)
        monkeypatch.setattr(monitor.parity, "preferred", lambda: ("tensorrt", "openvino-int8", "openvino", "eager"))
        monkeypatch.setattr(monitor.parity, "parity_views", lambda: parity_views()[:1])

    def make(self, name: str, network: SegmentationNetwork, *_: object, **__: object) -> SegmentationEngine:
        self.made.append(name)
        if name in self.missing:
            raise EngineFailure("there is no GPU here", reason="no_gpu")
        engine = EagerEngine(network, device="cpu")
        return _Halved(engine) if name in self.wrong else engine


class _Halved:
    """Half of every map is lost."""

    def __init__(self, engine: EagerEngine) -> None:
        self._engine = engine
        self.name, self.digest, self.batch_size = "halved", "half", 1

    def warm_up(self) -> None: ...

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        maps = self._engine(batch)
        maps[..., : maps.shape[-1] // 2] = -9.0
        return maps


@needs_weights
def test_auto_takes_the_first_that_agrees_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    workshop, store = Workshop(monkeypatch), EngineStore(tmp_path)
    told: list[str] = []
    chosen = choose_segmenter(store=store, report=told.append)
    assert chosen.engine == "openvino" and chosen.parity is not None and chosen.parity.f1 == 1.0
    assert [refusal.engine for refusal in chosen.refused] == ["tensorrt", "openvino-int8"]
    assert "not tensorrt: there is no GPU here; not openvino-int8: disagrees with eager: F1" in chosen.why
    assert told == ["trying tensorrt", "trying openvino-int8", "trying openvino"]
    assert workshop.made.count("eager") == 2

    workshop.made.clear()
    again = choose_segmenter(store=store)
    assert again.parity == chosen.parity and again.refused == chosen.refused
    assert workshop.made == ["tensorrt", "openvino"]


@needs_weights
def test_an_engine_asked_for_by_name_is_refused_when_it_disagrees(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Workshop(monkeypatch)
    with pytest.raises(EngineFailure, match="disagrees with eager") as caught:
        choose_segmenter("openvino-int8", store=EngineStore(tmp_path))
    assert caught.value.reason == "parity"
    with pytest.raises(EngineFailure, match="no GPU"):
        choose_segmenter("tensorrt", store=EngineStore(tmp_path))


@needs_weights
def test_what_was_made_anew_is_judged_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    workshop, store = Workshop(monkeypatch), EngineStore(tmp_path)
    with pytest.raises(EngineFailure):
        choose_segmenter("openvino-int8", store=store)
    workshop.wrong.clear()
    assert choose_segmenter("openvino-int8", store=store).parity is not None
    assert choose_segmenter(store=store).engine == "openvino-int8"


@needs_weights
def test_the_reference_serves_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    workshop = Workshop(monkeypatch)
    workshop.missing |= {"openvino", "openvino-int8"}
    chosen = choose_segmenter()
    assert chosen.engine == "eager" and chosen.parity is None
    assert chosen.why.startswith("eager-cpu-fp32, the reference engine; not tensorrt")


@needs_weights
def test_a_verdict_is_for_one_engine_and_one_decoding() -> None:
    card = read_card(SHIPPED)
    finer = card.model_copy(update={"decode": card.decode.model_copy(update={"persistence": 0.01})})
    keys = {verdict_key("openvino", card), verdict_key("eager", card), verdict_key("openvino", finer)}
    assert len(keys) == 3 and verdict_key("eager", card) in keys
    assert verdict_key("eager", card, ("area_median",)) == verdict_key("eager", card)
    assert verdict_key("eager", card, ("halo_contrast_p10",)) not in keys
