"""The oracle: the whole story in one process on frames with known answers."""

import functools
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from cases.culture_rows import INTERVAL, silence_row
from cases.plain_engine import PIXEL_SIZE_UM, PlainEngine, disc_grid, disc_pixels, plain_segmenter
from cases.sample_messages import NOON, arrived

import monitor
from monitor.culture.settings import CultureSettings
from monitor.culture.state import fold
from monitor.errors import FrameNotReady, FrameRejected
from monitor.features.featurizer import measure
from monitor.frames.frame import Frame
from monitor.messages import EstimateState, FrameArrived, SegmentedBy
from monitor.pipeline import Masks, Pipeline, PipelineResult, estimates_from, measure_frame
from monitor.potency.applicability import ApplicabilityDomain
from monitor.potency.biomarker import Biomarker, BiomarkerSpec
from monitor.potency.bundle import Bundle, ModelSpec
from monitor.potency.calibration import Calibration, Interval
from monitor.potency.conditions import Conditions
from monitor.potency.contract import FeatureContract
from monitor.potency.model import PotencyModel

# the same drawn picture stands for many frames here, which a real flask would be called frozen for
CULTURE = CultureSettings(baseline_frames=4, min_cells=4, baseline_sd=10.0, cusum_reference_k=0.5, frozen_frames=1000)
CELLS = 12
PARTS = ("median", "iqr", "p10", "p90")
HEALTHY_RADIUS, SPREAD_RADIUS = 12.0, 13.5


class Straight:
    """In the place of trees: potency falls in a straight line with the area of the cells, 100 at the healthy size."""

    def __init__(self, width: float) -> None:
        self._width = width

    def num_feature(self) -> int:
        return 2

    def predict(self, rows: np.ndarray, num_threads: int = 1) -> np.ndarray:
        return 100.0 - 0.5 * (rows[:, 0] - np.pi * HEALTHY_RADIUS**2) + self._width


@functools.cache
def model(names: tuple[str, str] = ("area_median", "confluency")) -> PotencyModel:
    table = np.random.default_rng(0).normal([500.0, 0.2], [100.0, 0.1], (200, 2))
    boosters: Any = {"low": Straight(-10.0), "middle": Straight(0.0), "high": Straight(10.0)}
    interval = Interval(coverage=0.9, offset=0.0, lowest=0.0, highest=150.0)
    calibration = Calibration(intervals={"potency": interval}, familiarity=ApplicabilityDomain.fit(names, table, 0.01))
    spec = BiomarkerSpec(name="potency", files={name: f"{name}.txt" for name in boosters})
    bundle = Bundle(ModelSpec(biomarkers=(spec,)), calibration, FeatureContract.of(names), {}, {})
    return PotencyModel({"potency": Biomarker(spec, boosters, interval)}, bundle, "straight")


def frame(number: int, flask: str = "A1") -> FrameArrived:
    return arrived(number, flask).model_copy(update={"pixel_size_um": PIXEL_SIZE_UM})


def number_of(fact: FrameArrived) -> int:
    return round((fact.acquired_at - NOON) / INTERVAL)


@functools.cache
def discs(count: int, radius: float) -> Frame:
    return Frame(disc_pixels(disc_grid(count), radius=radius), PIXEL_SIZE_UM)


def read(fact: FrameArrived) -> Frame:
    """Frames of flask A1 spread from number 8 on; those of flask N are NaN, of flask E empty, of flask G gone."""
    if fact.key.flask.startswith("G"):
        raise FrameRejected("it is gone", reason="vanished")
    if fact.key.flask.startswith("N"):
        return Frame(np.full((96, 96), np.nan, np.float32), PIXEL_SIZE_UM)
    if fact.key.flask.startswith("E"):
        return Frame(np.full((96, 96), 1000, np.uint16), PIXEL_SIZE_UM)
    spread = fact.key.flask == "A1" and number_of(fact) >= 8
    return discs(CELLS, SPREAD_RADIUS if spread else HEALTHY_RADIUS)


def pipeline(**chosen: Any) -> Pipeline:
    return Pipeline(plain_segmenter(), model(), CULTURE, **chosen)


def run(facts: Sequence[FrameArrived]) -> PipelineResult:
    return pipeline().run(facts, read)


def series() -> list[FrameArrived]:
    return [frame(number, flask) for number in range(14) for flask in ("A1", "B1")]


def test_the_same_frames_give_the_same_result() -> None:
    assert run(series()) == run(series())


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_frames_does_not_count(seed: int) -> None:
    shuffled = random.Random(seed).sample(series(), len(series()))
    assert run(shuffled) == run(series())


def test_a_flask_never_depends_on_its_neighbours() -> None:
    alone = run([fact for fact in series() if fact.key.flask == "B1"])
    together = run(series())
    assert all(together.estimates[frame_id] == estimate for frame_id, estimate in alone.estimates.items())
    assert alone.alarms == []


def test_every_frame_has_one_result_and_it_is_its_own() -> None:
    facts = [*series(), frame(0, "N1"), frame(0, "E1"), frame(0, "G1")]
    found = run(facts)
    assert set(found.estimates) | set(found.failures) == {fact.frame_id for fact in facts}
    assert not set(found.estimates) & set(found.failures)
    for fact in facts:
        if fact.frame_id in found.estimates:
            estimate = found.estimates[fact.frame_id]
            assert (estimate.key, estimate.source, estimate.acquired_at) == (fact.key, fact.source, fact.acquired_at)


def test_a_healthy_frame_is_counted_and_estimated() -> None:
    (estimate,) = run([frame(0)]).estimates.values()
    assert (estimate.n_cells, estimate.n_nuclei) == (CELLS, CELLS)
    assert estimate.quality.passes
    assert estimate.quality.confluency == pytest.approx(CELLS * np.pi * HEALTHY_RADIUS**2 / (160 * 192), rel=0.1)
    assert estimate.estimate.state is EstimateState.OK
    assert estimate.estimate.potency == pytest.approx(100.0, abs=15.0)
    assert estimate.rolling.potency == estimate.estimate.potency
    assert (estimate.rolling.n_frames, estimate.revision) == (1, 0)


def test_cells_that_spread_raise_an_alarm_of_their_flask_alone() -> None:
    found = run(series())
    (alarm,) = found.alarms
    assert (alarm.flask, alarm.channel, alarm.state) == ("A1", "potency", "raised")
    assert alarm.estimated_onset_at == NOON + 8 * INTERVAL
    assert NOON + 8 * INTERVAL < alarm.at <= NOON + 13 * INTERVAL
    (drift,) = found.drifts
    assert (drift.flask, drift.frame_id) == ("A1", alarm.frame_id)


def test_a_bad_frame_fails_with_its_reason_and_stops_nothing() -> None:
    found = run([frame(0, "N1"), frame(0, "G1"), frame(0, "B1")])
    reasons = {found.failures[frame(0, flask).frame_id].reason for flask in ("N1", "G1")}
    assert reasons == {"not_finite", "vanished"}
    assert all(failure.stage == "pipeline" for failure in found.failures.values())
    assert list(found.estimates) == [frame(0, "B1").frame_id]


def test_an_empty_frame_is_not_assessable_and_has_no_number() -> None:
    (estimate,) = run([frame(0, "E1")]).estimates.values()
    assert (estimate.estimate.state, estimate.estimate.reason) == (EstimateState.NOT_ASSESSABLE, "empty")
    assert (estimate.estimate.potency, estimate.estimate.low, estimate.estimate.high) == (None, None, None)
    assert estimate.rolling.potency is None
    assert estimate.n_cells == 0


def test_too_few_cells_are_not_assessable() -> None:
    def three(fact: FrameArrived) -> Frame:
        return discs(3, HEALTHY_RADIUS)

    (estimate,) = pipeline().run([frame(0)], three).estimates.values()
    assert (estimate.n_cells, estimate.estimate.reason) == (3, "too_few_cells")


def test_a_file_that_is_not_ready_is_the_callers_business() -> None:
    def away(fact: FrameArrived) -> Frame:
        raise FrameNotReady("the share is away")

    with pytest.raises(FrameNotReady):
        pipeline().run([frame(0)], away)


def test_silences_take_part_in_the_history() -> None:
    facts = [frame(number, "B1") for number in range(4)]
    found = pipeline().run(facts, read, [silence_row(3, 9.0, flask="B1")])
    assert [(alarm.channel, alarm.state) for alarm in found.alarms] == [("arrival", "raised")]
    assert set(found.estimates) == {fact.frame_id for fact in facts}


def test_nothing_in_gives_nothing_out() -> None:
    assert run([]) == PipelineResult({}, {}, [], [])


def test_an_estimate_says_what_it_was_made_of() -> None:
    (estimate,) = pipeline(configuration="c1").run([frame(0)], read).estimates.values()
    made_by = estimate.provenance
    assert made_by.code_version == monitor.__version__
    assert (made_by.engine, made_by.engine_digest) == ("plain", plain_segmenter().engine_digest)
    assert made_by.weights == plain_segmenter().weights_digest
    assert made_by.feature_contract == model().contract.digest
    assert (made_by.potency_model, made_by.calibration) == ("straight", model().calibration_digest)
    assert made_by.configuration == "c1"


def test_a_row_holds_the_features_that_the_frame_has() -> None:
    shown = discs(CELLS, HEALTHY_RADIUS)
    (found,) = plain_segmenter(PlainEngine()).segment([shown])
    assert not isinstance(found, FrameRejected)
    masks = Masks(
        found.cells, found.nuclei, found.quality, SegmentedBy(engine="e", engine_digest="d", weights_digest="w")
    )
    row = measure_frame(frame(0), shown, masks, model(), min_cells=4, configuration="none")
    assert row.features == measure(shown, found.cells, found.nuclei).population
    assert row.features["nucleus_cytoplasm_ratio_median"] == pytest.approx(1.0 / 8.0, rel=0.2)
    assert (row.flask, row.at, row.row_id) == ("A1", frame(0).acquired_at, frame(0).frame_id)


def test_a_frame_is_measured_by_the_families_that_its_model_needs_and_no_others() -> None:
    shown = discs(CELLS, HEALTHY_RADIUS)
    (found,) = plain_segmenter(PlainEngine()).segment([shown])
    assert not isinstance(found, FrameRejected)
    masks = Masks(
        found.cells, found.nuclei, found.quality, SegmentedBy(engine="e", engine_digest="d", weights_digest="w")
    )
    needs = model(("area_median", "halo_contrast_median"))
    row = measure_frame(frame(0), shown, masks, needs, min_cells=4, configuration="none")
    base = measure(shown, found.cells, found.nuclei).population
    assert set(row.features) - set(base) == {f"halo_{name}_{part}" for name in ("ratio", "contrast") for part in PARTS}
    assert row.estimate.reason != "missing_features"


@pytest.mark.parametrize(
    ("stimulation", "reason"),
    [("IFN-γ", None), (None, "stimulation_not_trained"), ("TNF-alpha", "stimulation_not_trained")],
)
def test_a_model_of_primed_cells_refuses_flasks_that_the_sample_list_does_not_call_primed(
    stimulation: str | None, reason: str | None
) -> None:
    fact = frame(0)
    fact = fact.model_copy(update={"sample": fact.sample.model_copy(update={"stimulation": stimulation})})
    primed = model()
    spec = primed.spec.model_copy(
        update={"conditions": Conditions.of({"stimulation": ["IFN-gamma"], "hours": [20.0, 30.0]})}
    )
    bundle = Bundle(spec, primed.calibration, primed.contract, {}, {})
    made = PotencyModel(primed.biomarkers, bundle, "primed")
    (estimate,) = Pipeline(plain_segmenter(), made, CULTURE).run([fact], read).estimates.values()
    assert estimate.estimate.reason == reason
    assert (estimate.estimate.potency is None) == (reason is not None)


def test_only_what_is_new_or_changed_is_published_again_with_a_higher_revision() -> None:
    facts = [frame(number, "B1") for number in range(6)]
    rows = [pipeline()._row(fact, read(fact)) for fact in facts]
    late = rows[2]
    before = estimates_from(fold("B1", [row for row in rows if row is not late], CULTURE), {})
    assert [estimate.revision for estimate in before] == [0] * 5
    stored = {estimate.frame_id: estimate for estimate in before}
    after = estimates_from(fold("B1", rows, CULTURE), stored)
    # the frames before the late one keep their estimates; it is new, those after it are told again
    assert [estimate.frame_id for estimate in after] == [fact.frame_id for fact in facts[2:]]
    assert [estimate.revision for estimate in after] == [0, 1, 1, 1]
    assert estimates_from(fold("B1", rows, CULTURE), stored | {e.frame_id: e for e in after}) == []


def test_times_of_estimates_are_those_of_the_frames() -> None:
    found = run([frame(number, "B1") for number in range(3)])
    times = [estimate.acquired_at for estimate in found.estimates.values()]
    assert times == [NOON + timedelta(minutes=15 * number) for number in range(3)]
