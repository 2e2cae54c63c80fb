"""The whole way from camera counts to labels on one device: only labels and a few numbers come back.

Frames are uploaded from pinned memory on a stream of their own while the batch before them is computed. Every step has
the definition that it has on the CPU; the parity gate compares the ends.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from monitor.engine.base import DeviceEngine
from monitor.errors import EngineFailure
from monitor.frames.frame import Frame
from monitor.frames.resample import factor_of
from monitor.network.checkpoint import ModelCard
from monitor.network.segnet import PLANES
from monitor.segmentation.device_labels import instances_on_device
from monitor.segmentation.device_planes import normalized, resampled
from monitor.segmentation.device_quality import DeviceQuality, light_of, measured

LEAST_SIDE_PX = 64
"""Smaller frames take the way over the CPU: mirrored borders would be wider than they are."""


@dataclass(frozen=True, slots=True)
class Found:
    """What comes back for one frame: (Y', X') int32 labels at the network's scale, and measures of `quality`."""

    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    measures: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Launched:
    """A batch whose maps are being computed: [B, ...] tensors on the device."""

    normal: Tensor
    maps: Tensor
    light: Tensor
    saturated: Tensor


class DevicePath:
    """Segments groups of frames; those of a group have one shape, pixel type and pixel size."""

    def __init__(self, engine: DeviceEngine, card: ModelCard) -> None:
        self._engine = engine
        self._card = card
        self._device = torch.device(engine.device)
        self._copies = torch.cuda.Stream() if engine.device == "cuda" else None  # type: ignore[no-untyped-call]

    def run(self, groups: Sequence[Sequence[Frame]]) -> Iterator[list[Found]]:
        """Yield what was found in the frames of each group, in order.

        Raises
        ------
        EngineFailure
            As the engine raises it, and `out_of_memory` when the steps around it find no room.
        """
        try:
            uploaded = self._upload(groups[0]) if groups else None
            for index, group in enumerate(groups):
                assert uploaded is not None
                following = groups[index + 1] if index + 1 < len(groups) else None
                found, uploaded = self._step(uploaded, group[0], following)
                yield found
        except torch.OutOfMemoryError as error:
            message = f"{self._engine.name} has no room for frames beside its maps"
            raise EngineFailure(message, reason="out_of_memory") from error

    @torch.inference_mode()
    def _step(
        self, uploaded: Tensor, like: Frame, following: Sequence[Frame] | None
    ) -> tuple[list[Found], Tensor | None]:
        """Return what was found in one group, and the next one on its way: it goes up while this one is computed."""
        launched = self._launch(uploaded, like)
        coming = self._upload(following) if following is not None else None
        return self._finish(launched), coming

    def _upload(self, frames: Sequence[Frame]) -> Tensor:
        """Return [B, H, W] counts on their way to the device: float32, or the integers that they were."""
        counts = np.stack([frame.pixels for frame in frames])
        if counts.dtype == np.uint16:
            counts = counts.view(np.int16)  # the same bits; `_counts` reads them as unsigned again
        host = torch.from_numpy(counts)
        if self._copies is None:
            return host
        with torch.cuda.stream(self._copies):
            return host.pin_memory().to(self._device, non_blocking=True)

    def _launch(self, uploaded: Tensor, like: Frame) -> _Launched:
        if self._copies is not None:
            torch.cuda.current_stream().wait_stream(self._copies)
            uploaded.record_stream(torch.cuda.current_stream())
        scale = self._card.pixel_size_um
        counts = _counts(uploaded)
        planes = resampled(counts, factor_of(like, scale))
        normal = normalized(planes, scale)
        rows, columns = normal.shape[1:]
        padded = functional.pad(normal[:, None], (0, -columns % 32, 0, -rows % 32), mode="reflect")
        return _Launched(
            normal=normal,
            maps=self._engine.maps_on_device(padded)[:, :, :rows, :columns],
            light=light_of(counts, like.pixel_size_um),
            saturated=_saturated(uploaded),
        )

    def _finish(self, launched: _Launched) -> list[Found]:
        scale = self._card.pixel_size_um
        found = instances_on_device(launched.maps, PLANES, self._card.decode, scale)
        quality = measured(launched.normal, launched.maps, found, launched.light, scale)
        cells, nuclei = _labels(found.cells), _labels(found.nuclei)
        saturated = launched.saturated.tolist()
        return [
            Found(cells[index], nuclei[index], _measures(quality, saturated, index)) for index in range(len(saturated))
        ]


def _counts(uploaded: Tensor) -> Tensor:
    if uploaded.dtype == torch.int16:
        return (uploaded.to(torch.int32) & 0xFFFF).float()
    return uploaded.float()


def _saturated(uploaded: Tensor) -> Tensor:
    """Return the share of pixels at the ends of an integer camera's range, [B]; 0 for float frames."""
    if uploaded.is_floating_point():
        return torch.zeros(len(uploaded), dtype=torch.float64, device=uploaded.device)
    top = -1 if uploaded.dtype == torch.int16 else 255
    return ((uploaded == 0) | (uploaded == top)).double().mean((1, 2))


def _labels(planes: Tensor) -> NDArray[np.int32]:
    """Return labels on the host, as they are: what 16 bits save on the way, widening them costs the host."""
    if not planes.is_cuda:
        return planes.numpy()
    host = torch.empty(planes.shape, dtype=planes.dtype, pin_memory=True)
    host.copy_(planes)
    return host.numpy()


def _measures(quality: DeviceQuality, saturated: list[float], index: int) -> dict[str, float]:
    return {
        "focus": quality.focus[index],
        "illumination": quality.illumination[index],
        "saturated_fraction": saturated[index],
        "confluency": quality.confluency[index],
        "doubt": quality.doubt[index],
        "debris_fraction": quality.debris[index],
    }
