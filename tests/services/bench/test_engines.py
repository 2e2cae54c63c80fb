"""Engines are made or listed with their reason, timed in turns, and the best that may serve is found."""

import io
from pathlib import Path

import pytest
from cases.bench_report import AGREES, candidate
from rich.console import Console

from monitor.engine.base import SegmentationEngine
from monitor.engine.store import EngineStore
from monitor.errors import EngineFailure
from monitor.network.segnet import SegmentationNetwork
from services.bench import candidates, engines
from services.bench.candidates import Candidate, make_candidates
from services.bench.engines import Cell, fastest, rates_here, time_engines, where
from services.bench.plan import BenchPlan
from services.bench.progress import Teller
from services.bench.roofline import Rates, roofline_s

RATES = Rates("cpu", "float32", 1e11, 1e10)


@pytest.fixture
def teller() -> Teller:
    return Teller(Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def network() -> SegmentationNetwork:
    return SegmentationNetwork(0.125, 16).eval()


def timed(plan: BenchPlan, found: list[Candidate], network: SegmentationNetwork, teller: Teller, **more) -> list[Cell]:
    return time_engines(plan, found, {("cpu", "fp32"): RATES}, network, teller, **more)


def test_engine_that_cannot_run_here_is_listed_with_its_reason(tmp_path: Path, monkeypatch, teller: Teller):
    make_engine = candidates.make_engine

    def without_openvino(name: str, *arguments: object, **options: object) -> SegmentationEngine:
        if name == "openvino":
            raise EngineFailure("openvino is not installed; pip install it", reason="not_installed")
        return make_engine(name, *arguments, **options)

    monkeypatch.setattr(candidates, "make_engine", without_openvino)

    plan = BenchPlan(engines=("eager", "openvino"), parity=False)
    found, missing = make_candidates(plan, EngineStore(tmp_path), teller)

    assert [one.name for one in found] == ["eager"]
    assert found[0].agreement == "the reference"
    assert [(one.engine, one.why) for one in missing] == [("openvino", "openvino is not installed; pip install it")]


def test_engine_that_was_never_built_is_not_built_without_being_asked_for(tmp_path: Path, teller: Teller):
    found, missing = make_candidates(BenchPlan(engines=("eager", "compiled")), EngineStore(tmp_path), teller)

    assert [one.name for one in found] == ["eager"]
    assert "engine build compiled" in missing[0].why


def test_engines_take_turns_and_run_the_batches_that_they_make(network: SegmentationNetwork, teller: Teller):
    one, many = candidate("eager", "eager-cpu-fp32", batch_size=1), candidate("openvino", "openvino-cpu-fp32")

    cells = timed(BenchPlan(sizes=(64,), batches=(1, 4), rounds=3), [one, many], network, teller)

    assert [(cell.engine, cell.batch, len(cell.batch_ms)) for cell in cells] == [
        ("eager", 1, 3),
        ("openvino", 1, 3),
        ("openvino", 4, 3),
    ]
    assert one.engine.shapes == [(1, 1, 64, 64)] * 5  # the first call, one to warm up, three rounds
    assert cells[2].ms_per_frame.median == pytest.approx(cells[2].frames_per_s ** -1 * 1000.0)
    assert cells[2].roofline_ms == pytest.approx(1000.0 * roofline_s(network, (4, 1, 64, 64), RATES))


def test_engine_that_fails_on_a_shape_says_why_and_the_others_go_on(network: SegmentationNetwork, teller: Teller):
    one, other = candidate("eager", "eager-cpu-fp32"), candidate("openvino", "openvino-cpu-fp32", most=1)

    cells = timed(BenchPlan(sizes=(64,), batches=(1, 4), rounds=1), [one, other], network, teller)

    assert [cell.failed for cell in cells] == [None, None, None, "no room"]


def test_no_time_is_begun_after_the_minutes_are_over(network: SegmentationNetwork, teller: Teller):
    clock = iter(range(0, 10_000, 90))

    cells = timed(
        BenchPlan(sizes=(64, 96), batches=(1,), rounds=2, minutes=1.0),
        [candidate("eager", "eager-cpu-fp32")],
        network,
        teller,
        now=lambda: float(next(clock)),
    )

    assert [len(cell.batch_ms) for cell in cells] == [1, 0]
    assert cells[1].failed == "left out: the 1 minutes were over"


def test_rates_are_measured_once_for_each_precision_that_has_arithmetic(monkeypatch, teller: Teller):
    asked = []
    monkeypatch.setattr(
        engines, "measured_rates", lambda device, dtype, threads: asked.append((device, dtype)) or RATES
    )
    found = [candidate(str(n), name) for n, name in enumerate(("a-cpu-fp32", "b-cpu-fp32", "openvino-cpu-int8"))]

    assert rates_here(found, None, teller) == {("cpu", "fp32"): RATES}
    assert len(asked) == 1
    assert where(found[2]) == ("cpu", "int8")


def test_fastest_is_one_that_agrees_with_eager():
    eager, unknown = candidate("eager", "eager-cpu-fp32"), candidate("openvino-int8", "openvino-cpu-int8")
    sure = candidate("openvino", "openvino-cpu-fp32", AGREES)
    cells = [
        Cell("eager", "eager-cpu-fp32", 64, 1, 9.0, (9.0,)),
        Cell("openvino", "openvino-cpu-fp32", 64, 1, 5.0, (5.0,)),
        Cell("openvino-int8", "openvino-cpu-int8", 64, 1, 2.0, (2.0,)),
    ]

    assert fastest(cells, [eager, unknown, sure], 64) == (sure, cells[1])
    assert unknown.agreement == "not checked"
    with pytest.raises(EngineFailure, match="128 px"):
        fastest(cells, [eager], 128)
