"""The loss: cross-entropy and soft Dice on the three masks, smooth L1 on the two centre maps."""

import torch
from torch import Tensor
from torch.nn import functional

from monitor.network.segnet import Map
from monitor.training.dataset import Batch

CENTRE_WEIGHT = 4.0
"""Centre maps lie in [0, 1], so their smooth L1 is small; this brings it level with the masks."""
SMOOTH_BETA = 0.1
CONTACT_WEIGHT = 4.0
"""Between cells that touch a pixel counts so much more (after Ronneberger et al. 2015): merged cells are the most
frequent miss."""


def segmentation_loss(maps: Tensor, batch: Batch) -> Tensor:
    """Return the scalar loss of [B, 5, H, W] maps; cells and nuclei each count only where they are known."""
    nuclei = batch.nuclei_known
    cells = batch.cells_known * (1.0 + CONTACT_WEIGHT * batch.contact)
    return (
        _mask_loss(maps[:, Map.CELL], batch.cell, cells)
        + _mask_loss(maps[:, Map.BOUNDARY], batch.boundary, cells)
        + CENTRE_WEIGHT * _centre_loss(maps[:, Map.CELL_CENTRE], batch.cell_centre, cells, batch.cell)
        + _mask_loss(maps[:, Map.NUCLEUS], batch.nucleus, nuclei)
        + CENTRE_WEIGHT * _centre_loss(maps[:, Map.NUCLEUS_CENTRE], batch.nucleus_centre, nuclei, batch.nucleus)
    )


def _mask_loss(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum().clamp_min(1.0)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    probability = torch.sigmoid(logits)
    overlap = (probability * truth * weight).sum((1, 2))
    size = ((probability + truth) * weight).sum((1, 2))
    present = (weight.sum((1, 2)) > 0).float()
    dice = 1.0 - (2.0 * overlap + 1.0) / (size + 1.0)
    return (entropy * weight).sum() / total + (dice * present).sum() / present.sum().clamp_min(1.0)


def _centre_loss(predicted: Tensor, truth: Tensor, weight: Tensor, inside: Tensor) -> Tensor:
    # background pixels are told to be zero as well, with a tenth of the weight
    emphasis = weight * (inside + 0.1)
    error = functional.smooth_l1_loss(predicted, truth, reduction="none", beta=SMOOTH_BETA)
    return (error * emphasis).sum() / emphasis.sum().clamp_min(1.0)
