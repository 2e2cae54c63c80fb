"""Several threads for one frame: the same values as on one, and no error is lost."""

import threading
from functools import partial

import numpy as np
import pytest
from scipy import ndimage

from monitor import parallel as module
from monitor.parallel import in_parallel
from monitor.segmentation import flood as flooding
from monitor.segmentation.smooth import gaussian_where


def test_results_come_in_the_order_of_the_calls() -> None:
    assert in_parallel([partial(pow, base, 2) for base in range(20)]) == [base * base for base in range(20)]


def test_what_busy_threads_do_not_begin_is_done_by_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "THREADS", 2)
    free = threading.Event()
    busy = [module._threads.submit(free.wait) for _ in range(module._threads._max_workers)]
    try:
        assert in_parallel([threading.get_ident] * 3) == [threading.get_ident()] * 3
        assert not any(future.done() for future in busy)
    finally:
        free.set()


def test_the_error_of_a_call_is_raised_after_all_that_began_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "THREADS", 2)
    begun, ended = threading.Event(), threading.Event()

    def late() -> None:
        begun.set()
        threading.Event().wait(0.05)
        ended.set()

    def fail() -> None:
        begun.wait()
        raise LookupError("of this call")

    with pytest.raises(LookupError, match="of this call"):
        in_parallel([late, fail])
    assert ended.is_set()


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_a_flood_on_several_threads_gives_the_same_labels(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(threads)
    height = ndimage.gaussian_filter(random.random((300, 280)), 3.0).astype(np.float32)
    inside = ndimage.gaussian_filter(random.random(height.shape), 6.0) > 0.5
    nothing, edge = np.zeros(height.shape, np.int32), random.normal(size=height.shape).astype(np.float32)

    def labels(many: int) -> np.ndarray:
        monkeypatch.setattr(flooding, "THREADS", many)
        monkeypatch.setattr(flooding, "ENOUGH_PX", 0)
        return flooding.flood(height, inside, nothing, 0.01, 20.0, edge=edge, edge_weight=0.02, least_px=9.0)

    one, several = labels(1), labels(threads)

    assert one.max() > 20
    np.testing.assert_array_equal(several, one)


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_smoothing_in_bands_gives_the_same_map(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(threads)
    values = random.normal(size=(101, 90)).astype(np.float32)
    where = random.random(values.shape) < 0.02

    def smooth(many: int) -> np.ndarray:
        monkeypatch.setattr(module, "THREADS", many)
        monkeypatch.setattr(module, "ENOUGH_PX", 0)
        return gaussian_where(values, 2.5, where)

    np.testing.assert_array_equal(smooth(threads)[where], smooth(1)[where])
