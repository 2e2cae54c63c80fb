"""Fields with known instances, and random crops of them as the network sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from monitor.frames.normalize import normalize
from monitor.training.augment import AugmentSettings, distort, random_affine
from monitor.training.targets import boundary_map, centre_map, contact_map

HALO_PX = 5.0
"""A pasted cell fades into its new place over so many pixels."""


@dataclass(frozen=True, slots=True)
class Field:
    """One labelled field, normalised, at its native scale.

    pixels (Y, X) float32; cells, nuclei (Y, X) int32; cell_centre, nucleus_centre (Y, X) float32; cells_known,
    nuclei_known (Y, X) bool: where labels, background included, can be relied on; the loss leaves the rest out;
    pixel_size_um > 0.
    """

    pixels: NDArray[np.float32]
    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    cell_centre: NDArray[np.float32]
    nucleus_centre: NDArray[np.float32]
    cells_known: NDArray[np.bool_]
    nuclei_known: NDArray[np.bool_]
    pixel_size_um: float


def make_field(
    pixels: NDArray[np.generic],
    cells: NDArray[np.integer] | None,
    nuclei: NDArray[np.integer] | None,
    pixel_size_um: float,
    *,
    cells_known: NDArray[np.bool_] | None = None,
    nuclei_known: NDArray[np.bool_] | None = None,
) -> Field:
    """Normalise a field and compute its targets once, on whole instances.

    Labels that are None are known nowhere; labels without a plane that says where they are known are known everywhere.
    """
    cell_labels, cells_known = _known(cells, cells_known, pixels.shape)
    nucleus_labels, nuclei_known = _known(nuclei, nuclei_known, pixels.shape)
    return Field(
        pixels=normalize(pixels, pixel_size_um),
        cells=cell_labels,
        nuclei=nucleus_labels,
        cell_centre=centre_map(cell_labels),
        nucleus_centre=centre_map(nucleus_labels),
        cells_known=cells_known,
        nuclei_known=nuclei_known,
        pixel_size_um=pixel_size_um,
    )


def _known(
    labels: NDArray[np.integer] | None, known: NDArray[np.bool_] | None, shape: tuple[int, ...]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    if labels is None:
        return np.zeros(shape, np.int32), np.zeros(shape, bool)
    return labels.astype(np.int32), np.ones(shape, bool) if known is None else known


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops of a training step, all [B, ., H, W].

    pixels [B, 1, H, W] float32; cell, boundary, nucleus [B, H, W] float32 of 0 and 1; cell_centre, nucleus_centre
    [B, H, W] float32; cells_known, nuclei_known [B, H, W] float32 of 0 and 1: 0 also beyond the field; contact
    [B, H, W] float32, 1 where two cells are near.
    """

    pixels: Tensor
    cell: Tensor
    cell_centre: Tensor
    boundary: Tensor
    nucleus: Tensor
    nucleus_centre: Tensor
    cells_known: Tensor
    nuclei_known: Tensor
    contact: Tensor


class CropSampler:
    """Draws batches of random crops: groups of fields by given shares, then rotation, scale, polarity, gain, blur.

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
    ) -> None:
        self._groups = [(share, fields) for share, fields in groups if fields and share > 0.0]
        self._shares = np.array([share for share, _ in self._groups])
        self._pixel_size_um = pixel_size_um
        self._crop_px = crop_px
        self._settings = settings
        self._random = np.random.default_rng(seed)

    def batch(self, size: int) -> Batch:
        """Return a batch of `size` crops."""
        crops = [self._crop() for _ in range(size)]
        return Batch(*(torch.stack(parts) for parts in zip(*crops, strict=True)))

    def _crop(self) -> tuple[Tensor, ...]:
        group = self._random.choice(len(self._groups), p=self._shares / self._shares.sum())
        fields = self._groups[group][1]
        planes = self._planes(fields)
        if self._random.random() < self._settings.copy_paste:
            planes = _pasted(planes, self._planes(fields), self._random)
        cells, nuclei = planes.cells > 0, planes.nuclei > 0
        return (
            torch.from_numpy(distort(planes.pixels, self._random, self._settings))[None],
            torch.from_numpy(cells).float(),
            torch.from_numpy(planes.cell_centre * cells),
            torch.from_numpy(boundary_map(planes.cells)).float(),
            torch.from_numpy(nuclei).float(),
            torch.from_numpy(planes.nucleus_centre * nuclei),
            torch.from_numpy(planes.cells_known),
            torch.from_numpy(planes.nuclei_known),
            torch.from_numpy(contact_map(planes.cells)).float(),
        )

    def _planes(self, fields: Sequence[Field]) -> "_Planes":
        """Return a random crop of a random field, turned and scaled, its intensities as they are."""
        field = fields[int(self._random.integers(len(fields)))]
        step = self._pixel_size_um / field.pixel_size_um
        grid = random_affine(self._random, field.pixels.shape, self._crop_px, step, self._settings)
        return _Planes(
            pixels=_warp(field.pixels, grid, "bilinear"),
            cells=_warp(field.cells.astype(np.float32), grid, "nearest").astype(np.int32),
            nuclei=_warp(field.nuclei.astype(np.float32), grid, "nearest").astype(np.int32),
            cell_centre=_warp(field.cell_centre, grid, "bilinear"),
            nucleus_centre=_warp(field.nucleus_centre, grid, "bilinear"),
            cells_known=_warp(field.cells_known.astype(np.float32), grid, "nearest"),
            nuclei_known=_warp(field.nuclei_known.astype(np.float32), grid, "nearest"),
        )


@dataclass(frozen=True, slots=True)
class _Planes:
    """One crop before its intensities are changed; every plane (H, W)."""

    pixels: NDArray[np.float32]
    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    cell_centre: NDArray[np.float32]
    nucleus_centre: NDArray[np.float32]
    cells_known: NDArray[np.float32]
    nuclei_known: NDArray[np.float32]


def _pasted(planes: _Planes, donor: _Planes, random: np.random.Generator) -> _Planes:
    """Lay one to three whole cells of another crop, with their halo, over a crop (Ghiasi et al. 2021, "copy-paste").

    Cells that the donor's border cuts are left out: a straight edge inside a crop is nothing that a microscope shows.
    """
    edge = np.concatenate([donor.cells[0], donor.cells[-1], donor.cells[:, 0], donor.cells[:, -1]])
    whole = np.setdiff1d(np.unique(donor.cells[donor.cells_known > 0]), np.append(edge, 0))
    if whole.size == 0:
        return planes
    chosen = random.choice(whole, size=min(whole.size, int(random.integers(1, 4))), replace=False)
    inside = np.isin(donor.cells, chosen) & (planes.cells_known > 0)
    weight = np.clip(1.0 - ndimage.distance_transform_edt(~inside) / HALO_PX, 0.0, 1.0).astype(np.float32)
    weight[(donor.cells > 0) & ~inside] = 0.0
    others = int(planes.cells.max(initial=0)), int(planes.nuclei.max(initial=0))
    named = np.where(donor.nuclei > 0, donor.nuclei + others[1], 0)
    return _Planes(
        pixels=planes.pixels * (1.0 - weight) + donor.pixels * weight,
        cells=np.where(inside, donor.cells + others[0], planes.cells).astype(np.int32),
        nuclei=np.where(inside, named, planes.nuclei).astype(np.int32),
        cell_centre=np.where(inside, donor.cell_centre, planes.cell_centre),
        nucleus_centre=np.where(inside, donor.nucleus_centre, planes.nucleus_centre),
        cells_known=planes.cells_known,
        nuclei_known=np.where(inside, donor.nuclei_known, planes.nuclei_known),
    )


def _warp(plane: NDArray[np.float32], grid: Tensor, mode: str) -> NDArray[np.float32]:
    source = torch.from_numpy(plane)[None, None]
    warped = functional.grid_sample(source, grid[None], mode=mode, padding_mode="zeros", align_corners=False)[0, 0]
    found: NDArray[np.float32] = warped.numpy()
    return found
