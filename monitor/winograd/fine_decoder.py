"""The network in two parts for a CPU: what a library runs best, and the wide planes at the end, which are quicker here.

Four fifths of the decoder's time go into five convolutions of 3 x 3 on the planes of stride 8, 4 and 2. They and what
lies between them run as Winograd convolutions of our own (see `convolution`), all before them wherever `CoarseHalf` is
converted to.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monitor.network.decoder import Refine, TopDownDecoder
from monitor.network.folding import folded
from monitor.network.segnet import SegmentationNetwork
from monitor.parallel import CORES
from monitor.winograd.convolution import Pointwise, Winograd
from monitor.winograd.tiles import LANES

Plane = NDArray[np.float32]


class CoarseHalf(nn.Module):
    """[1, 1, H, W] frames to what `FineDecoder` begins with: planes at strides 8, 4 and 2, channels last."""

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.encoder, self.decoder = network.encoder, network.decoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return [1, H / 8, W / 8, C], [1, H / 4, W / 4, C] and [1, H / 2, W / 2, C / 2]."""
        stem, *deeper = self.encoder(x)
        decoder = self.decoder
        eighth, (fourth, *_) = decoder.descended(deeper, 1)
        # the bias of the convolution that comes between would have to be added to every pixel all the same
        assert decoder.narrow.bias is not None
        skip = decoder.skip(stem) + decoder.narrow.bias[:, None, None]
        return eighth.permute(0, 2, 3, 1), fourth.permute(0, 2, 3, 1), skip.permute(0, 2, 3, 1)


class FineDecoder:
    """The rest of `TopDownDecoder`, on planes with the channels last.

    Parameters
    ----------
    threads
        At most so many at a time; as many as this process may use when not given.
    """

    def __init__(self, decoder: TopDownDecoder, *, threads: int | None = None) -> None:
        self._threads = threads or CORES
        fourth, eighth = decoder.refine[0], decoder.refine[1]
        first, second = decoder.fine
        self._fourth, self._eighth, self._first, self._second = (
            _refined(refine) for refine in (fourth, eighth, first, second)
        )
        self._narrow = Pointwise(_array(decoder.narrow.weight)[:, :, 0, 0])
        weight, bias = _array(decoder.head.weight), _array(decoder.head.bias)
        padding = -len(weight) % LANES
        weight = np.pad(weight, ((0, padding), (0, 0), (0, 0), (0, 0)))
        self._head = Winograd(weight, np.pad(bias, (0, padding)), rectified=False, shuffled=True)
        self._held: dict[str, Plane] = {}

    @staticmethod
    def fits(decoder: TopDownDecoder) -> bool:
        """Return whether the decoder's channels fill vectors of this processor."""
        return decoder.narrow.out_channels % LANES == 0

    def __call__(self, eighth: Plane, fourth: Plane, skip: Plane, maps: Plane) -> None:
        """Write (K, H, W) maps from (H / 8, W / 8, C), (H / 4, W / 4, C) and (H / 2, W / 2, C / 2) planes.

        `skip` is written over. Not for several threads at a time: other planes are kept for the next frame.
        """
        threads = self._threads
        y = self._plane("eighth", eighth.shape)
        self._eighth.run(eighth, y, threads)
        wide = self._plane("widest", fourth.shape)
        self._fourth.run(fourth, wide, threads, coarse=y)
        narrow = self._plane("narrow", (*fourth.shape[:2], skip.shape[2]))
        self._narrow.run(wide, narrow, threads)
        first = self._plane("widest", skip.shape)  # over `wide`, which is done with
        self._first.run(skip, first, threads, coarse=narrow)
        self._second.run(first, skip, threads)
        self._head.run(skip, maps, threads)

    def _plane(self, name: str, shape: tuple[int, ...]) -> Plane:
        """Return memory for a plane: that of the frame before where it does, for new memory costs as much as a step."""
        needed = int(np.prod(shape))
        held = self._held.get(name)
        if held is None or held.size < needed:
            held = self._held[name] = np.empty(needed, np.float32)
        return held[:needed].reshape(shape)


def _refined(refine: nn.Module) -> Winograd:
    assert isinstance(refine, Refine)
    weight, bias = folded(refine.conv, refine.norm)
    return Winograd(weight.numpy(), bias.numpy(), rectified=True)


def _array(value: Tensor | None) -> NDArray[np.float64]:
    assert value is not None
    found: NDArray[np.float64] = value.detach().to(torch.float64).numpy()
    return found
