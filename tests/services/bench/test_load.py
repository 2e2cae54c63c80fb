"""Throughput and latency are counted right, and the real processes are measured without losing a frame."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from monitor.errors import SettingsError
from monitor.parity import choose_segmenter
from services.bench.chain import Offered
from services.bench.frames import FrameSource, publish
from services.bench.load import (
    LoadPlan,
    frames_for,
    hold_against_stages,
    measure_load,
    started,
    tail_ratio,
    warmed,
)
from services.bench.progress import Teller

SIDE_PX = 128


@pytest.fixture(scope="module")
def source() -> FrameSource:
    return FrameSource(SIDE_PX, 0.87)


@pytest.fixture
def teller() -> Teller:
    return Teller(Console(file=io.StringIO()))


def offered(moments: list[float]) -> Offered:
    names = [str(number) for number in range(len(moments))]
    return Offered(dict.fromkeys(names, 0.0), dict(zip(names, moments, strict=True)), 0)


def test_throughput_counts_from_the_end_of_a_burst():
    bursts = [0.0, *[4.0 + 0.01 * n for n in range(8)], *[8.0 + 0.01 * n for n in range(8)]]

    assert offered(bursts).throughput_per_s(8) == pytest.approx(2.0)  # a burst of eight every four seconds
    assert offered([0.5 * n for n in range(30)]).throughput_per_s(8) == pytest.approx(2.0)


@pytest.mark.parametrize("moments", [[], [1.0], [0.1 * n for n in range(8)]])
def test_too_few_estimates_are_said(moments: list[float]):
    with pytest.raises(SettingsError, match="too few"):
        offered(moments).throughput_per_s(8)


def test_frames_that_came_to_nothing_are_lost_unless_they_were_given_up():
    found = Offered({"a": 0.0, "b": 1.0, "c": 2.0}, {"a": 0.5}, failed=1)

    assert found.latencies_s == [0.5]
    assert found.lost == 1


def test_tail_is_the_slowest_hundredth_over_the_middle():
    ratio, low, high = tail_ratio([1.0] * 98 + [3.0] * 2)

    assert ratio == pytest.approx(3.0)
    assert 1.0 <= low <= ratio <= high


def test_offers_are_long_enough_and_take_no_more_room_than_they_may(source: FrameSource):
    assert frames_for(10.0, 5.0, source, least=20) == 50
    assert frames_for(0.1, 5.0, source, least=20) == 20
    assert frames_for(1e6, 1e6, source, least=20) == 2**30 // (2 * SIDE_PX**2)


def test_frames_are_each_of_their_own_content_and_name(source: FrameSource, tmp_path: Path):
    staged = source.stage(tmp_path / "staged", 9)
    contents = {frame.file.read_bytes() for frame in staged}

    publish(staged, tmp_path / "watched")

    assert len(contents) == len({frame.name for frame in staged}) == 9
    assert sorted(p.relative_to(tmp_path / "watched").as_posix() for p in (tmp_path / "watched").rglob("*.tif")) == (
        sorted(frame.name for frame in staged)
    )


@pytest.mark.slow
@pytest.mark.alone
def test_real_processes_under_load_lose_nothing_and_leave_a_named_queue_alone(source, teller, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")  # nobody answers there
    monkeypatch.setenv("CELLVIGIL__NOTIFIER__TERMINAL", "true")

    found = measure_load(LoadPlan("eager", load_s=1.0, expected_per_s=1.0, threads=1), source, teller).report()

    assert found["flat_out"] == {"frames": 32, "failed": 0, "lost": 0} | {
        "frames_per_s": found["flat_out"]["frames_per_s"]
    }
    half = found["half_load"]
    assert (half["frames"] >= 20, half["failed"], half["lost"]) == (True, 0, 0)
    assert 0.0 < half["p50_s"] <= half["p95_s"] <= half["p99_s"] <= half["most_s"]
    assert half["rate_per_s"] == pytest.approx(found["flat_out"]["frames_per_s"] / 2.0, abs=0.01)


@pytest.mark.slow
@pytest.mark.alone
def test_whole_chain_is_held_against_its_stages_on_the_same_frames(source, teller, tmp_path: Path):
    plan = LoadPlan("eager", load_s=1.0, expected_per_s=1.0, threads=1)
    chosen = choose_segmenter("eager", threads=1)

    with started(plan, tmp_path) as chain:
        first_s = warmed(chain, source, tmp_path)
        (held,) = hold_against_stages(chain, chosen, source, tmp_path, rounds=1, frames=24, teller=teller)

    assert first_s > 0.0
    assert set(held.alone_per_s) == {"ingester", "segmenter", "predictor"}
    assert held.alone_per_s[held.slowest] == min(held.alone_per_s.values())
    assert np.isfinite(held.ratio) and held.ratio > 0.0
