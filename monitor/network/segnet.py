"""The segmentation network: PreAct-ResNet50 encoder, light shared decoder, five maps per pixel."""

from enum import IntEnum

from torch import Tensor, nn

from monitor.network.decoder import TopDownDecoder
from monitor.network.preact import PreActResNet50


class Map(IntEnum):
    """Order of the output maps.

    CELL, BOUNDARY and NUCLEUS are logits; CELL_CENTRE and NUCLEUS_CENTRE are single-peak geodesic maps: one at the
    geodesic centre of the instance, falling to zero at the point farthest from it.
    """

    CELL = 0
    CELL_CENTRE = 1
    BOUNDARY = 2
    NUCLEUS = 3
    NUCLEUS_CENTRE = 4


PLANES = (Map.CELL, Map.CELL_CENTRE, Map.BOUNDARY, Map.NUCLEUS, Map.NUCLEUS_CENTRE)
"""What decoding looks at, in its order."""


class SegmentationNetwork(nn.Module):
    """[B, 1, H, W] normalised frames to [B, 5, H, W] maps; H and W are multiples of 32."""

    def __init__(self, width: float = 1.0, decoder_channels: int = 96) -> None:
        super().__init__()
        self.encoder = PreActResNet50(width)
        self.decoder = TopDownDecoder(self.encoder.channels, decoder_channels, len(Map))

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps in the order of `Map`."""
        maps: Tensor = self.decoder(self.encoder(x))
        return maps
