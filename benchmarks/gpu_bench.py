"""What the parts of the GPU benchmark share: what is timed and how, and what was found so far."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from device_clock import Call, Clock
from networks import Timed
from rounds import measure
from torch import Tensor, nn

from monitor.engine.buckets import Graphs
from monitor.network.segnet import SegmentationNetwork
from services.bench.roofline import Rates, roofline_s

Run = Callable[[Tensor], Tensor]


@dataclass
class Bench:
    """What the parts share: what is timed, how, what was found so far, and who is fastest at the measured batch.

    narrow: the dtype of the engines; batches: the sizes that are tried, `batch` among them the one of the measures.
    """

    device: str
    narrow: torch.dtype
    side: int
    batches: tuple[int, ...]
    batch: int
    tiles: int
    tile_px: int
    clock: Clock
    timed: Timed
    folder: Path
    seconds: float = 0.0
    measures: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)
    rates: dict[str, Rates] = field(default_factory=dict)
    best: tuple[str, Run] | None = None

    @property
    def versions(self) -> str:
        """Return who the peer is, where the peer is PyTorch."""
        return f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}"

    @property
    def dtype_name(self) -> str:
        """Return the dtype of the engines as torch names it."""
        return str(self.narrow).removeprefix("torch.")

    @functools.cached_property
    def network(self) -> SegmentationNetwork:
        """Return the network on the device, narrow and channels last."""
        return on(self.timed.make(), self.device, self.narrow)

    def frames(self, batch: int, dtype: torch.dtype | None = None) -> Tensor:
        """Return [B, 1, H, W] noise on the device, channels last."""
        noise = torch.randn(batch, 1, self.side, self.side, device=self.device)
        return noise.to(dtype or self.narrow).contiguous(memory_format=torch.channels_last)

    def graphed(self, run: Run) -> Run:
        """Return the function replayed from CUDA graphs; as it is where there are none."""
        return Graphs(run) if self.device == "cuda" else run

    def turns(self, calls: dict[str, Call], share: float = 1.0) -> dict[str, list[float]]:
        """Time calls in turns for at most a share of half of this part's time; the other half is for warming up."""
        return self.clock.in_turns(calls, at_most_s=0.5 * share * self.seconds)

    def add(
        self, name: str, ours: Sequence[float], peer: Sequence[float], against: str, **more: object
    ) -> dict[str, Any]:
        """Add a measure from paired seconds."""
        row = measure(name, ours, peer, against=against, version=self.versions) | more
        self.measures.append(row)
        return row

    def add_share(self, name: str, part: Sequence[float], whole: Sequence[float], against: str) -> None:
        """Add a measure that says how much of something else a part takes: less is better."""
        low, ratio, high = np.percentile(np.array(part) / np.array(whole), [5, 50, 95])
        print(
            f"{name:28} {1e3 * median(part):10.3f} ms   {against}: {1e3 * median(whole):10.3f} ms   share {ratio:.2f}"
        )
        row = {
            "name": name,
            "ratio": round(float(ratio), 3),
            "low": round(float(low), 3),
            "high": round(float(high), 3),
        }
        row |= {"ms": round(1e3 * median(part), 4), "peer_ms": round(1e3 * median(whole), 4)}
        self.measures.append(row | {"peer": against, "peer_version": self.versions, "repeats": len(part)})

    def floor_s(self, batch: int) -> float | None:
        """Return the roofline of a batch with the rates measured in this run; None when they were not."""
        rates = self.rates.get(self.dtype_name)
        return None if rates is None else roofline_s(self.timed.make(), (batch, 1, self.side, self.side), rates)


def on(network: nn.Module, device: str, dtype: torch.dtype, *, last: bool = True) -> Any:  # noqa: ANN401  # as it came
    """Return a network on a device, in evaluation mode."""
    layout = torch.channels_last if last else torch.contiguous_format
    return network.eval().to(device, dtype).to(memory_format=layout)
