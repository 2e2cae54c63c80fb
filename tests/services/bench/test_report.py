"""What a report holds, what it comes to, and how it is told."""

import io
import json

import pytest
from cases.bench_report import load, report
from rich.console import Console

from services.bench.report import flasks_per_machine, verdict
from services.bench.table import show

KEYS = {
    "version", "machine", "options", "measures", "rates", "engines", "serving", "stages_ms", "network_share", "load",
    "flasks_per_machine",
}  # fmt: skip
MEASURE = {"name", "ratio", "low", "high", "peer", "peer_version", "repeats", "ms", "peer_ms"}


def told(found: dict, width: int = 80) -> str:
    stream = io.StringIO()
    show(found, Console(file=stream, width=width))
    return stream.getvalue()


def test_keys_are_those_that_readers_know():
    found = report()

    assert set(found) == KEYS
    assert all(set(measure) == MEASURE for measure in found["measures"])
    assert set(found["load"]["half_load"]) >= {"rate_per_s", "frames", "p50_s", "p95_s", "p99_s"}
    assert json.loads(json.dumps(found)) == found


def test_each_engine_is_held_against_eager_and_against_the_roofline():
    measures = {measure["name"]: measure for measure in report()["measures"]}

    assert measures["network_openvino_1024_batch1"]["ratio"] == pytest.approx(2.0, abs=0.2)
    assert measures["roofline_openvino_1024_batch1"]["ratio"] == pytest.approx(0.5, abs=0.05)
    assert "network_eager_1024_batch1" not in measures


def test_missing_engine_stands_in_report_and_table_with_its_reason():
    found = report()

    (missing,) = (engine for engine in found["engines"] if engine["engine"] == "tensorrt")
    assert (missing["times"], missing["runs"]) == ([], None)
    assert "TensorRT needs an NVIDIA GPU" in missing["why_not"]
    assert "tensorrt cannot run here: TensorRT needs an NVIDIA GPU" in told(found)
    assert "eager, 2048 px, batch 1: no room" in told(found)


@pytest.mark.parametrize(
    ("frames_per_s", "positions", "flasks"), [(2.0, 1, 900), (2.0, 4, 225), (0.5, 1, 225), (0.001, 1, 0)]
)
def test_flasks_per_machine_is_half_of_the_frames_of_an_interval(frames_per_s: float, positions: int, flasks: int):
    assert flasks_per_machine(frames_per_s, positions=positions) == flasks


def test_flasks_rest_on_the_load_where_there_was_one():
    assert report(loaded=False)["flasks_per_machine"]["flasks"] == 4500  # 100 ms a frame: 10 a second
    assert report()["flasks_per_machine"]["flasks"] == flasks_per_machine(load().throughput_per_s) == 1800


def test_one_sentence_says_what_it_comes_to():
    assert verdict(report()) == (
        "This machine keeps up with 1800 flasks at one frame of 1024 x 1024 every 15 minutes; "
        "the network takes 80 % of the time."
    )
    assert "--load measures the whole chain" in verdict(report(loaded=False))


def test_tables_fit_a_narrow_terminal_and_every_number_has_its_unit():
    lines = told(report()).splitlines()

    tables = [line for line in lines if not line.startswith(("tensorrt", "This machine", "an abacus"))]
    assert max(len(line) for line in tables) <= 80
    text = "\n".join(lines)
    for unit in ("ms/frame", "ms/Mpx", "frames/s", "made s", "5-95 % ms", "0.50 s"):
        assert unit in text
    assert "openvino-cpu-fp32" in text


def test_without_load_no_table_of_it_is_drawn():
    assert "The real processes" not in told(report(loaded=False))
