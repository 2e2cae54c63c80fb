"""Fields with known instances, and batches of crops of them as the network sees them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from monitor.frames.normalize import normalize
from monitor.training.targets import centre_map


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
