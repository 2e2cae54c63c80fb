"""The published network that ours is timed against: HoVer-Net in its "fast" form, with random weights.

    python benchmarks/hovernet.py        # counts its arithmetic and parameters, and compares them with the published

Written from the published layer table (Graham et al. 2019, Medical Image Analysis 58:101563, and its supplement; the
fast form is that of the authors' later release): tiles of 256 x 256 x 3 give maps of 164 x 164. A pre-activation
ResNet-50 whose first stage keeps full resolution, so that the last lies at stride 8 instead of 32; a decoder of its
own for every branch, dense units of 1 x 1 and valid convolutions in four groups. The fast form has 3 x 3 kernels in
the decoder: with 5 x 5, those of the original form, a tile of 256 would give 72 and not 164 pixels.

For time only. Same-padding is symmetric here, which costs nothing; in the original it is a step of its own.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

TILE_PX, OUTPUT_PX = 256, 164
COUNTED_TFLOP = 9.94
"""Arithmetic for a megapixel of output with two branches, a multiply-add counted as two, of one-channel tiles.

Three channels, as published and as built here, add 0.03 in the first layer.
"""
PUBLISHED_MILLIONS = 37.6
"""Parameters of the form with three branches, as its authors state them."""
STAGES = ((64, 256, 3, 1), (128, 512, 4, 2), (256, 1024, 6, 2), (512, 2048, 3, 2))
"""Inner and outer channels, units and stride of the four stages."""


class Unit(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 with normalisation and activation before each; the first of a stage gets them done."""

    def __init__(self, channels: int, inner: int, outer: int, stride: int, *, first: bool) -> None:
        super().__init__()
        self.before = nn.Identity() if first else nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.inner = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 3, stride, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, outer, 1, bias=False),
        )
        self.shortcut = nn.Conv2d(channels, outer, 1, stride, bias=False) if first else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum with the shortcut."""
        summed: Tensor = self.inner(self.before(x)) + self.shortcut(x)
        return summed


class DenseUnit(nn.Module):
    """1 x 1 to 128 channels, a valid convolution in four groups to 32, laid beside the cropped input."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 32, kernel, groups=4, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the cropped input and 32 channels more."""
        found = self.inner(x)
        return torch.cat([cropped(x, found), found], 1)


class Branch(nn.Module):
    """From the four features to the maps of one task."""

    def __init__(self, maps: int, kernel: int) -> None:
        super().__init__()
        self.deep = _dense_block(1024, 256, 8, kernel)
        self.middle = _dense_block(512, 128, 4, kernel)
        self.fine = nn.Conv2d(256, 64, kernel, padding=kernel // 2, bias=False)
        self.head = nn.Sequential(nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, maps, 1))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the maps of one task."""
        finest, fine, coarse, coarsest = features
        y = self.deep(_enlarged(coarsest) + coarse)
        y = _enlarged(y)
        y = self.middle(y + cropped(fine, y))
        y = _enlarged(y)
        maps: Tensor = self.head(self.fine(y + cropped(finest, y)))
        return maps


class HoverNet(nn.Module):
    """[B, 3, 256, 256] tiles to [B, maps, 164, 164]: two for foreground, two for the distances, then the types."""

    def __init__(self, branches: tuple[int, ...] = (2, 2), *, kernel: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 7, 1, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        channels = 64
        self.stages = nn.ModuleList()
        for inner, outer, units, stride in STAGES:
            stage = [
                Unit(outer if unit else channels, inner, outer, 1 if unit else stride, first=unit == 0)
                for unit in range(units)
            ]
            self.stages.append(nn.Sequential(*stage, nn.BatchNorm2d(outer), nn.ReLU()))
            channels = outer
        self.narrow = nn.Conv2d(2048, 1024, 1, bias=False)
        self.branches = nn.ModuleList(Branch(maps, kernel) for maps in branches)

    def forward(self, tiles: Tensor) -> Tensor:
        """Return the maps of all tasks."""
        y = self.stem(tiles)
        features = []
        for stage in self.stages:
            y = stage(y)
            features.append(y)
        features[-1] = self.narrow(y)
        return torch.cat([branch(features) for branch in self.branches], 1)


def cropped(x: Tensor, like: Tensor) -> Tensor:
    """Return the middle of [B, C, H, W] that has the size of another tensor."""
    top, left = ((x.shape[axis] - like.shape[axis]) // 2 for axis in (2, 3))
    return x[:, :, top : top + like.shape[2], left : left + like.shape[3]]


def tflop_per_megapixel(branches: tuple[int, ...] = (2, 2), *, kernel: int = 3) -> tuple[float, int]:
    """Return the arithmetic for 1024 x 1024 pixels of output, and the side of a tile's output; nothing is computed."""
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        maps = HoverNet(branches, kernel=kernel).eval()(torch.empty(1, 3, TILE_PX, TILE_PX))
    return counter.get_total_flops() / 1e12 * 2**20 / maps.shape[2] ** 2, maps.shape[2]


def millions(branches: tuple[int, ...]) -> float:
    """Return the number of parameters in millions."""
    with torch.device("meta"):
        network = HoverNet(branches)
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def check() -> list[str]:
    """Return what was counted, a line each.

    Raises
    ------
    ValueError
        It is not the network that it says it is.
    """
    counted, side = tflop_per_megapixel()
    size = millions((2, 2, 5))
    if side != OUTPUT_PX:
        raise ValueError(f"a tile gives {side} pixels, not {OUTPUT_PX}")
    if abs(counted / COUNTED_TFLOP - 1.0) > 0.1:
        raise ValueError(f"{counted:.2f} TFLOP for a megapixel of output, not {COUNTED_TFLOP} within a tenth")
    if abs(size / PUBLISHED_MILLIONS - 1.0) > 0.01:
        raise ValueError(f"{size:.2f} million parameters with three branches, not {PUBLISHED_MILLIONS}")
    return [
        f"tiles of {TILE_PX} px give {side} px",
        f"two branches: {counted:.3f} TFLOP for a megapixel of output ({COUNTED_TFLOP} expected)",
        f"three branches: {size:.2f} million parameters ({PUBLISHED_MILLIONS} published)",
    ]


def _enlarged(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def _dense_block(channels_in: int, channels: int, units: int, kernel: int) -> nn.Sequential:
    grown = channels + 32 * units
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel, bias=False),
        *(DenseUnit(channels + 32 * unit, kernel) for unit in range(units)),
        nn.BatchNorm2d(grown),
        nn.ReLU(),
        nn.Conv2d(grown, grown, 1, bias=False),
    )


if __name__ == "__main__":
    print("\n".join(check()))
