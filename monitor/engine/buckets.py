"""Batches on a GPU: few sizes, the tail padded, one CUDA graph for each size of batch and frame."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.errors import EngineFailure

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


class BucketedEngine:
    """What engines on a GPU have in common: float16 in buckets, with CUDA graphs; see `DeviceEngine`.

    Parameters
    ----------
    run
        Maps [B, 1, H, W] float16 on the GPU to [B, K, H, W] there, on torch's current stream.
    """

    name: str

    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        self._run = Graphs(run)

    @property
    def batch_size(self) -> int:
        """Largest batch worth making."""
        return BUCKETS[-1]

    @property
    def device(self) -> str:
        """Where it computes."""
        return "cuda"

    def warm_up(self) -> None:
        """Run once on an empty frame."""
        self(np.zeros((1, 1, 256, 256), np.float32))

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map [B, 1, H, W] to [B, K, H, W]."""
        maps: NDArray[np.float32] = self.maps_on_device(torch.from_numpy(batch).to(self.device)).cpu().numpy()
        return maps

    def maps_on_device(self, frames: Tensor) -> Tensor:
        """See `DeviceEngine`."""
        try:
            with torch.inference_mode():
                return in_buckets(self._run, frames.to(torch.float16)).float()
        except torch.OutOfMemoryError as error:
            message = f"{self.name} ran out of memory on {tuple(frames.shape)}"
            raise EngineFailure(message, reason="out_of_memory") from error
        except RuntimeError as error:
            raise EngineFailure(f"{self.name} failed on {tuple(frames.shape)}: {error}", reason="failed") from error
