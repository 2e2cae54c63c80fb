"""The encoder: ResNet-50 with full pre-activation (He et al. 2016, "Identity mappings in deep residual networks").

Deviations from the paper: one input channel, a width factor, and the last 1 x 1 convolution of each block starts at
zero (Goyal et al. 2017), so that a fresh network is the identity along its shortcuts.
"""

from torch import Tensor, nn

BLOCKS = (3, 4, 6, 3)
EXPANSION = 4


class PreActBottleneck(nn.Module):
    """Normalise, activate, convolve, three times (1 x 1, 3 x 3, 1 x 1), added to the shortcut.

    Input [B, Cin, H, W] to output [B, 4 * planes, H / stride, W / stride]. The shortcut of a block that changes
    shape is a convolution of the activated input, as in the paper.
    """

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * EXPANSION, 1, bias=False)
        self.activate = nn.ReLU()
        nn.init.zeros_(self.conv3.weight)
        reshapes = stride != 1 or channels != planes * EXPANSION
        self.shortcut = nn.Conv2d(channels, planes * EXPANSION, 1, stride, bias=False) if reshapes else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        active = self.activate(self.norm1(x))
        kept: Tensor = x if self.shortcut is None else self.shortcut(active)
        y = self.conv1(active)
        y = self.conv2(self.activate(self.norm2(y)))
        y = self.conv3(self.activate(self.norm3(y)))
        added: Tensor = kept + y
        return added


class PreActResNet50(nn.Module):
    """The encoder; its five outputs are the features at strides 2, 4, 8, 16 and 32.

    Parameters
    ----------
    width
        Factor on every channel count; 1.0 is the standard network with 23.5 million parameters.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        base = round(64 * width)
        self.stem = nn.Conv2d(1, base, 7, 2, 3, bias=False)
        self.pool = nn.MaxPool2d(3, 2, 1)
        channels = base
        stages: list[nn.Module] = []
        self.channels: list[int] = [base]
        for index, blocks in enumerate(BLOCKS):
            planes = base * 2**index
            stage: list[nn.Module] = []
            for block in range(blocks):
                stage.append(PreActBottleneck(channels, planes, 2 if index > 0 and block == 0 else 1))
                channels = planes * EXPANSION
            stages.append(nn.Sequential(*stage))
            self.channels.append(channels)
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map [B, 1, H, W], H and W multiples of 32, to features at strides 2, 4, 8, 16, 32."""
        stem = self.stem(x)
        features = [stem]
        y = self.pool(stem)
        for stage in self.stages:
            y = stage(y)
            features.append(y)
        return features
