"""The network that a benchmark times: the shipped weights, or random ones of any width, for time only."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from monitor.network.preact import PreActBottleneck
from monitor.network.segnet import SegmentationNetwork

if TYPE_CHECKING:
    from monitor.network.checkpoint import ModelCard


@dataclass(frozen=True, slots=True)
class Timed:
    """make: a fresh copy, float32 on the CPU, in evaluation mode; card: None for random weights."""

    make: Callable[[], SegmentationNetwork]
    sha256: str
    card: "ModelCard | None"
    words: str


def network_of(width: float | None, decoder_channels: int = 96) -> Timed:
    """Return the shipped network when no width is given, else a random one.

    Raises
    ------
    ImportError
        The shipped weights were asked for, and what reads them is not installed.
    """
    if width is not None:
        words = f"random weights, width {width:g}, decoder {decoder_channels}: for time only"
        digest = hashlib.sha256(words.encode()).hexdigest()
        return Timed(lambda: _random(width, decoder_channels), digest, None, words)
    from monitor.network.checkpoint import load_network, read_card

    card = read_card()
    return Timed(lambda: load_network()[0], card.sha256, card, f"shipped weights, {card.name}, width {card.width:g}")


def _random(width: float, decoder_channels: int) -> SegmentationNetwork:
    """Return the same random weights every time, none of them zero: an optimiser could leave zeros out."""
    torch.manual_seed(0)
    network = SegmentationNetwork(width, decoder_channels).eval()
    for module in network.modules():
        if isinstance(module, PreActBottleneck):
            nn.init.kaiming_normal_(module.conv3.weight)
            with torch.no_grad():
                module.conv3.weight.mul_(0.1)  # sixteen sums stay small enough for float16
    return network
