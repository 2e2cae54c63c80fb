"""Cells laid over other crops: more neighbours than the labelled fields have (Ghiasi et al. 2021, "copy-paste")."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

HALO_PX = 5
"""A pasted cell fades into its new place over so many pixels."""
MOST_CELLS = 3
"""As many cells at most are laid over one crop."""


@dataclass(frozen=True, slots=True)
class Planes:
    """Crops before their intensities are changed, all [B, H, W] on one device.

    pixels, cell_centre, nucleus_centre float32; cells, nuclei int32; cells_known, nuclei_known bool.
    """

    pixels: Tensor
    cells: Tensor
    nuclei: Tensor
    cell_centre: Tensor
    nucleus_centre: Tensor
    cells_known: Tensor
    nuclei_known: Tensor

    def put(self, rows: Tensor, others: "Planes") -> "Planes":
        """Return planes in which `rows` are replaced by those of others."""
        names = Planes.__slots__
        return Planes(*(getattr(self, name).index_copy(0, rows, getattr(others, name)) for name in names))

    def take(self, rows: Tensor) -> "Planes":
        """Return some rows."""
        return Planes(*(getattr(self, name)[rows] for name in Planes.__slots__))


def pasted(planes: Planes, donors: Planes, labels: int, random: torch.Generator) -> Planes:
    """Lay one to three whole cells of every donor, with their halo, over the crop in the same row.

    Cells that the donor's border cuts are left out: a straight edge inside a crop is nothing that a microscope shows.
    `labels` is larger than any label; `random` lives on the device of the planes. Nothing waits for the device.
    """
    chosen = _chosen(donors, labels, random)
    inside = chosen.gather(1, donors.cells.flatten(1).long()).view_as(donors.cells) & planes.cells_known
    weight = (1.0 - _distance(inside) / HALO_PX).clamp(0.0, 1.0)
    weight = torch.where((donors.cells > 0) & ~inside, 0.0, weight)
    cells, nuclei = (labels.amax((1, 2), keepdim=True) for labels in (planes.cells, planes.nuclei))
    named = torch.where(donors.nuclei > 0, donors.nuclei + nuclei, 0)
    return Planes(
        pixels=planes.pixels * (1.0 - weight) + donors.pixels * weight,
        cells=torch.where(inside, donors.cells + cells, planes.cells),
        nuclei=torch.where(inside, named, planes.nuclei),
        cell_centre=torch.where(inside, donors.cell_centre, planes.cell_centre),
        nucleus_centre=torch.where(inside, donors.nucleus_centre, planes.nucleus_centre),
        cells_known=planes.cells_known,
        nuclei_known=torch.where(inside, donors.nuclei_known, planes.nuclei_known),
    )


def _chosen(donors: Planes, labels: int, random: torch.Generator) -> Tensor:
    """Return [B, labels] bool: one to three whole cells of every donor, none where it has none."""
    cells = donors.cells.long()
    border = torch.cat([cells[:, 0], cells[:, -1], cells[:, :, 0], cells[:, :, -1]], 1)
    whole = torch.zeros(len(cells), labels, dtype=torch.bool, device=cells.device)
    whole.scatter_(1, (cells * donors.cells_known).flatten(1), True)
    whole.scatter_(1, border, False)
    whole[:, 0] = False
    lots = torch.rand(whole.shape, generator=random, device=cells.device)
    best = torch.where(whole, lots, -1.0).topk(min(MOST_CELLS, labels), 1)
    count = torch.randint(1, MOST_CELLS + 1, (len(cells), 1), generator=random, device=cells.device)
    taken = (best.values >= 0.0) & (torch.arange(best.values.shape[1], device=cells.device) < count)
    return torch.zeros_like(whole).scatter_(1, best.indices, taken)


def _distance(inside: Tensor) -> Tensor:
    """Return the Euclidean distance to the next pixel of [B, H, W] masks, exact up to `HALO_PX`, row by column."""
    squares = torch.where(inside, 0.0, 1e6)
    for dim, padding in ((2, (HALO_PX, HALO_PX)), (1, (0, 0, HALO_PX, HALO_PX))):
        length, wide = squares.shape[dim], functional.pad(squares, padding, value=1e6)
        for offset in range(-HALO_PX, HALO_PX + 1):
            squares = torch.minimum(squares, wide.narrow(dim, offset + HALO_PX, length) + offset**2)
    return squares.sqrt()
