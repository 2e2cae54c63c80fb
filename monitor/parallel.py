"""Parts of one frame on several threads: for kernels and array operations that let go of the interpreter.

The threads are shared by the process; who finds them busy does the work himself. What runs on them must not
wait for others on them.
"""

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")
Other = TypeVar("Other")

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""That this process may use."""

THREADS = min(4, CORES)
"""Beyond four, the parts of one frame are too small to gain by more."""

ENOUGH_PX = 200_000
"""Pixels from which on several threads are worth waking."""

_threads = ThreadPoolExecutor(max(1, CORES - 1), thread_name_prefix="side-by-side")


def in_parallel(work: Sequence[Callable[[], Result]]) -> list[Result]:
    """Return the results of calls without arguments, in their order; the last one runs on the caller's own thread.

    Raises
    ------
    Exception
        What the first failing call raised, once all that began have ended.
    """
    if THREADS == 1 or len(work) == 1:
        return [call() for call in work]
    begun = [_threads.submit(call) for call in work[:-1]]
    here: dict[int, Result] = {}
    try:
        here[len(begun)] = work[-1]()
        for index, future in enumerate(begun):
            if future.cancel():  # the threads are busy with other frames: what none of them has begun is done here
                here[index] = work[index]()
    finally:
        for future in begun:
            if not future.cancel():
                future.exception()  # waits: arrays that a call writes to must not be let go before its end
    return [here[index] if index in here else begun[index].result() for index in range(len(work))]


def shares(count: int, many: int) -> list[tuple[int, int]]:
    """Return first and last of `many` equal parts of what is counted from 0.

    >>> shares(10, 3)
    [(0, 3), (3, 6), (6, 10)]
    """
    return list(itertools.pairwise(count * part // many for part in range(many + 1)))


def bands(shape: Sequence[int]) -> list[tuple[int, int]]:
    """Return first and last row of the parts in which a (Y, X) plane is worth doing side by side; one for a small one.

    >>> bands((100, 100))
    [(0, 100)]
    """
    rows, columns = shape
    return shares(rows, THREADS if rows * columns >= ENOUGH_PX else 1)


def both(one: Callable[[], Result], other: Callable[[], Other]) -> tuple[Result, Other]:
    """Return the results of two calls of different kinds; see `in_parallel`."""
    results: list[Any] = in_parallel([one, other])
    return results[0], results[1]
