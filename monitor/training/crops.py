"""Random crops of labelled fields, drawn on the device that learns from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from monitor.training.augment import AugmentSettings, distort, random_affine
from monitor.training.dataset import Batch, Field
from monitor.training.paste import Planes, pasted
from monitor.training.targets import boundary_map, contact_map

CELLS_KNOWN, NUCLEI_KNOWN = 1, 2


class CropSampler:
    """Draws batches of random crops: groups of fields by given shares, then rotation, scale, polarity, gain, blur.

    Fields lie on the device and crops are made there: on a GPU the sampler neither waits nor is waited for. The same
    seed on the same kind of device draws the same crops.

    Parameters
    ----------
    groups
        (share, fields) pairs; a crop comes from a group with a probability proportional to its share.
    pixel_size_um
        Scale of the crops: that of the network.
    """

    def __init__(
        self,
        groups: Sequence[tuple[float, Sequence[Field]]],
        *,
        pixel_size_um: float,
        crop_px: int,
        settings: AugmentSettings,
        seed: int,
        device: str = "cpu",
    ) -> None:
        kept = [(share, fields) for share, fields in groups if fields and share > 0.0]
        self._groups = [[_on_device(field, device) for field in fields] for _, fields in kept]
        shares = np.array([share for share, _ in kept])
        self._shares = shares / shares.sum()
        # twice over: a pasted cell is numbered after those of the crop
        self._labels = 1 + 2 * max(int(field.cells.max(initial=0)) for _, fields in kept for field in fields)
        self._pixel_size_um = pixel_size_um
        self._crop_px = crop_px
        self._settings = settings
        self._device = device
        self._random = np.random.default_rng(seed)
        self._drawn = torch.Generator(device).manual_seed(seed)

    def batch(self, size: int) -> Batch:
        """Return a batch of `size` crops on the device."""
        chosen = self._random.choice(len(self._groups), size, p=self._shares)
        planes = self._planes(chosen)
        over = np.flatnonzero(self._random.random(size) < self._settings.copy_paste)
        if over.size:
            rows = torch.from_numpy(over).to(self._device)
            laid = pasted(planes.take(rows), self._planes(chosen[over]), self._labels, self._drawn)
            planes = planes.put(rows, laid)
        cells, nuclei = planes.cells > 0, planes.nuclei > 0
        return Batch(
            pixels=distort(planes.pixels, self._random, self._drawn, self._settings)[:, None],
            cell=cells.float(),
            cell_centre=planes.cell_centre * cells,
            boundary=boundary_map(planes.cells).float(),
            nucleus=nuclei.float(),
            nucleus_centre=planes.nucleus_centre * nuclei,
            cells_known=planes.cells_known.float(),
            nuclei_known=planes.nuclei_known.float(),
            contact=contact_map(planes.cells).float(),
        )

    def _planes(self, groups: NDArray[np.int64]) -> Planes:
        """Return a random crop of a random field of every group, turned and scaled, its intensities as they are."""
        fields = [self._groups[group][int(self._random.integers(len(self._groups[group])))] for group in groups]
        maps = [
            random_affine(
                self._random, field.shape, self._crop_px, self._pixel_size_um / field.pixel_size_um, self._settings
            )
            for field in fields
        ]
        size = [len(fields), 1, self._crop_px, self._crop_px]
        grid = functional.affine_grid(torch.from_numpy(np.stack(maps)).to(self._device), size, align_corners=False)
        places, within = _nearest(grid, [field.shape for field in fields])
        known = _taken([field.known for field in fields], places) * within
        return Planes(
            pixels=_between([field.pixels for field in fields], grid),
            cells=_taken([field.cells for field in fields], places) * within,
            nuclei=_taken([field.nuclei for field in fields], places) * within,
            cell_centre=_between([field.cell_centre for field in fields], grid),
            nucleus_centre=_between([field.nucleus_centre for field in fields], grid),
            cells_known=(known & CELLS_KNOWN) > 0,
            nuclei_known=(known & NUCLEI_KNOWN) > 0,
        )


@dataclass(frozen=True, slots=True)
class _OnDevice:
    """A field where crops are made: (Y, X) planes as in `Field`, what is known in one uint8."""

    pixels: Tensor
    cells: Tensor
    nuclei: Tensor
    cell_centre: Tensor
    nucleus_centre: Tensor
    known: Tensor
    pixel_size_um: float

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.pixels.shape)


def _on_device(field: Field, device: str) -> _OnDevice:
    known = field.cells_known * np.uint8(CELLS_KNOWN) | field.nuclei_known * np.uint8(NUCLEI_KNOWN)
    names = ("pixels", "cells", "nuclei", "cell_centre", "nucleus_centre")
    planes = {name: torch.from_numpy(getattr(field, name)).to(device) for name in names}
    return _OnDevice(**planes, known=torch.from_numpy(known).to(device), pixel_size_um=field.pixel_size_um)


def _between(planes: Sequence[Tensor], grid: Tensor) -> Tensor:
    """Return [B, H, W] of one (Y, X) plane per row of the grid, interpolated; zero beyond."""
    warped = [
        functional.grid_sample(plane[None, None], grid[row, None], mode="bilinear", align_corners=False)[0, 0]
        for row, plane in enumerate(planes)
    ]
    return torch.stack(warped)


def _nearest(grid: Tensor, shapes: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """Return the index of the nearest pixel, [B, H, W] int64, and whether there is one, bool."""
    rows, columns = (torch.tensor(sides, device=grid.device)[:, None, None] for sides in zip(*shapes, strict=True))
    y = (((grid[..., 1] + 1.0) * rows - 1.0) / 2.0).round().long()
    x = (((grid[..., 0] + 1.0) * columns - 1.0) / 2.0).round().long()
    within = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    return torch.where(within, y * columns + x, 0), within


def _taken(planes: Sequence[Tensor], places: Tensor) -> Tensor:
    return torch.stack([plane.take(places[row]) for row, plane in enumerate(planes)])
