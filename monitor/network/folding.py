"""Normalisations with fixed statistics as what they are: a scale and a shift, which a convolution can take over."""

from torch import Tensor, nn

Affine = tuple[Tensor, Tensor]
"""Scale and shift of every channel."""


def affine_of(norm: nn.BatchNorm2d) -> Affine:
    """Return scale and shift of every channel, (C,) float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    return scale, norm.bias.detach().double() - norm.running_mean.double() * scale


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias, float64, of a convolution without bias that ends normalised."""
    scale, shift = affine_of(norm)
    return conv.weight.detach().double() * scale[:, None, None, None], shift
