"""Batches on a GPU: few sizes, the tail padded, one CUDA graph for each size of batch and frame."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

BUCKETS = (1, 2, 4, 8, 16)
KEPT_GRAPHS = 16
WARM_UPS = 3


def bucket_of(count: int) -> int:
    """Return the smallest bucket that holds `count` frames.

    >>> [bucket_of(count) for count in (1, 3, 16)]
    [1, 4, 16]
    """
    return next(bucket for bucket in BUCKETS if bucket >= count)


def in_buckets(run: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
    """Run [B, 1, H, W] frames in batches of bucket sizes; a tail is padded with empty frames whose maps are dropped."""
    parts = []
    for part in torch.split(frames, BUCKETS[-1]):
        bucket = bucket_of(len(part))
        if bucket > len(part):
            padding = part.new_zeros((bucket - len(part), *part.shape[1:]))
            parts.append(run(torch.cat([part, padding]))[: len(part)])
        else:
            parts.append(run(part))
    return torch.cat(parts)


class Graphs:
    """Replays a function of one tensor from a CUDA graph per input shape, captured when a shape is first seen.

    The result is a copy: a graph writes every replay over the one before.
    """

    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        self._run = run
        self._captured: OrderedDict[tuple[int, ...], tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = OrderedDict()

    def __call__(self, frames: Tensor) -> Tensor:
        """Return what the function returns."""
        shape = tuple(frames.shape)
        if shape not in self._captured:
            self._captured[shape] = self._capture(frames)
            if len(self._captured) > KEPT_GRAPHS:
                self._captured.popitem(last=False)
        self._captured.move_to_end(shape)
        graph, given, found = self._captured[shape]
        given.copy_(frames)
        graph.replay()
        return found.clone()

    def _capture(self, frames: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        given = frames.clone()
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):  # kernels are chosen and memory is found before the capture
            for _ in range(WARM_UPS):
                self._run(given)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = self._run(given)
        return graph, given, found
