"""What `quality` measures on pixels and maps, where these already are: on the device, for a whole batch at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from monitor.network.segnet import Map
from monitor.segmentation.device_labels import DeviceInstances
from monitor.segmentation.device_planes import background, dilated, gaussian, has_kernels, noise_sigma
from monitor.segmentation.quality import (
    COARSE_UM,
    FINE_UM,
    FOCUS_LEAST_PX,
    FOCUS_MARGIN_UM,
    HALO_UM,
    LIGHT_PERCENTILES,
    LIGHT_STEP,
    MAYBE,
    STRIKING,
    band_noise_gain,
    doubt_from,
)


@dataclass(frozen=True, slots=True)
class DeviceQuality:
    """Measures by frame, (B,) each, as `quality.assess` defines them."""

    focus: list[float]
    doubt: list[float]
    debris: list[float]
    illumination: list[float]
    confluency: list[float]


def measured(
    normal: Tensor, maps: Tensor, found: DeviceInstances, light: Tensor, pixel_size_um: float
) -> DeviceQuality:
    """Measure a batch.

    Parameters
    ----------
    normal
        [B, H, W] normalised pixels at the network's scale, `pixel_size_um`.
    maps, found
        [B, K, H, W] float32 and labels of the same grid.
    light
        [B, H', W'] background of the camera counts on the frames' own grid, every `LIGHT_STEP`-th pixel.
    """
    covered = found.outlined > 0
    return DeviceQuality(
        focus=_focus(normal, covered, pixel_size_um).tolist(),
        doubt=_doubt(maps, found.outlined),
        debris=_debris(normal, covered, pixel_size_um).tolist(),
        illumination=_unevenness(light).tolist(),
        confluency=(found.cells > 0).double().mean((1, 2)).tolist(),
    )


def light_of(planes: Tensor, pixel_size_um: float) -> Tensor:
    """Return every `LIGHT_STEP`-th pixel of the background of [B, H, W] camera counts."""
    return background(planes, pixel_size_um)[:, ::LIGHT_STEP, ::LIGHT_STEP]


def _focus(normal: Tensor, covered: Tensor, pixel_size_um: float) -> Tensor:
    where = dilated(covered, max(1, round(FOCUS_MARGIN_UM / pixel_size_um)))
    where = where | (where.sum((1, 2), keepdim=True) < FOCUS_LEAST_PX)
    fine, coarse = (
        _mean(
            (gaussian(normal, narrow / pixel_size_um) - gaussian(normal, wide / pixel_size_um)).double().square(), where
        )
        for narrow, wide in (FINE_UM, COARSE_UM)
    )
    noise = noise_sigma(normal).double() * band_noise_gain(FINE_UM, pixel_size_um)
    sharp = (fine - noise.square()).clamp_min(0.0)
    return torch.where(coarse > 0.0, (sharp / coarse.clamp_min(1e-30)).sqrt(), 0.0)


def _doubt(maps: Tensor, cells: Tensor) -> list[float]:
    cell = torch.sigmoid(maps[:, Map.CELL].clamp(-20.0, 20.0))
    maybe = cell > MAYBE
    undecided = _mean((4.0 * cell * (1.0 - cell)).double(), maybe).tolist()
    share = maybe.double().mean((1, 2)).tolist()
    boundary = torch.sigmoid(maps[:, Map.BOUNDARY].clamp(-20.0, 20.0))
    edge = _mean(boundary.double(), _outlines(cells)).tolist()
    most = int(cells.max())
    heights = _heights(cells, maps[:, Map.CELL_CENTRE], most).cpu().numpy()
    counts = cells.amax((1, 2)).tolist()
    return [
        doubt_from(undecided[index], share[index], heights[index, : counts[index]], edge[index])
        for index in range(len(cells))
    ]


def _heights(cells: Tensor, centre: Tensor, most: int) -> Tensor:
    """Return the highest centre of every cell from 1 to `most`, [B, most] float32; at least 0."""
    if has_kernels(cells):
        from monitor.segmentation.filter_kernels import highest

        return highest(cells, centre, most)
    named = cells.long() + torch.arange(len(cells), device=cells.device)[:, None, None] * (most + 1)
    peaks = torch.zeros(len(cells) * (most + 1), device=cells.device)
    peaks.scatter_reduce_(0, named.flatten(), torch.where(cells > 0, centre, 0.0).flatten(), "amax")
    return peaks.view(len(cells), most + 1)[:, 1:]


def _debris(normal: Tensor, covered: Tensor, pixel_size_um: float) -> Tensor:
    ground = ~dilated(covered, max(1, round(HALO_UM / pixel_size_um)))
    share = _mean((normal.abs() > STRIKING).double(), ground)
    return torch.where(ground.double().mean((1, 2)) < 0.02, 0.0, share)


def _unevenness(light: Tensor) -> Tensor:
    levels = torch.tensor(LIGHT_PERCENTILES, device=light.device, dtype=light.dtype) / 100.0
    low, middle, high = torch.quantile(light.flatten(1), levels, dim=1)
    return torch.where(middle > 0.0, (high - low) / torch.where(middle > 0.0, middle, 1.0), 0.0)


def _outlines(cells: Tensor) -> Tensor:
    """Return [B, H, W] bool outlines; see `quality.outlines`."""
    edge = torch.zeros_like(cells, dtype=torch.bool)
    below, beside = cells[:, 1:] != cells[:, :-1], cells[:, :, 1:] != cells[:, :, :-1]
    edge[:, 1:] |= below
    edge[:, :-1] |= below
    edge[:, :, 1:] |= beside
    edge[:, :, :-1] |= beside
    edge &= cells > 0
    return edge | ((cells > 0) & ~edge.any(2, keepdim=True).any(1, keepdim=True))


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Return the mean of [B, H, W] values over a mask, [B]; 0 where it is empty."""
    return torch.where(where, values, 0.0).sum((1, 2)) / where.sum((1, 2)).clamp_min(1)
