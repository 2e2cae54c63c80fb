"""The decoder: one light top-down path shared by all maps (after Lin et al. 2017, feature pyramid networks)."""

from torch import Tensor, nn
from torch.nn import functional


class Refine(nn.Module):
    """3 x 3 convolution, normalisation, activation; [B, Cin, H, W] to [B, Cout, H, W]."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.activate = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the refined features."""
        refined: Tensor = self.activate(self.norm(self.conv(x)))
        return refined


class TopDownDecoder(nn.Module):
    """Adds coarse features to fine ones from stride 32 up to stride 2, then shuffles to full resolution.

    Parameters
    ----------
    encoder_channels
        Channel counts at strides 2, 4, 8, 16, 32.
    channels
        Channels of the top-down path.
    maps
        Output maps K.
    """

    def __init__(self, encoder_channels: list[int], channels: int, maps: int) -> None:
        super().__init__()
        stem, *deeper = encoder_channels
        self.enter = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(count), nn.ReLU(), nn.Conv2d(count, channels, 1)) for count in deeper
        )
        self.refine = nn.ModuleList(Refine(channels, channels) for _ in deeper)
        self.skip = nn.Sequential(nn.BatchNorm2d(stem), nn.ReLU(), nn.Conv2d(stem, channels // 2, 1))
        self.narrow = nn.Conv2d(channels, channels // 2, 1)
        self.fine = nn.Sequential(Refine(channels // 2, channels // 2), Refine(channels // 2, channels // 2))
        self.head = nn.Conv2d(channels // 2, maps * 4, 3, 1, 1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map encoder features to [B, K, H, W] at the input's resolution."""
        stem, *deeper = features
        y, _ = self.descended(deeper, 0)
        y = functional.interpolate(self.narrow(self.refine[0](y)), scale_factor=2.0, mode="nearest") + self.skip(stem)
        maps: Tensor = self.shuffle(self.head(self.fine(y)))
        return maps

    def descended(self, deeper: list[Tensor], level: int) -> tuple[Tensor, list[Tensor]]:
        """Return what `refine[level]` begins with, and all features as they enter, finest first."""
        entered = [enter(feature) for enter, feature in zip(self.enter, deeper, strict=True)]
        y = entered[-1]
        for index in range(len(entered) - 1, level, -1):
            y = functional.interpolate(self.refine[index](y), scale_factor=2.0, mode="nearest") + entered[index - 1]
        return y, entered
