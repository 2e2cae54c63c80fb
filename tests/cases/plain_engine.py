"""An engine without a network: what is bright is a cell, what is very bright its nucleus. Known answers, no weights."""

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from monitor.errors import EngineFailure
from monitor.frames.frame import Frame
from monitor.network.checkpoint import ModelCard
from monitor.segmentation.segmenter import Segmenter

PIXEL_SIZE_UM = 1.0
CELL_RADIUS_PX = 12.0
NUCLEUS_RADIUS_PX = 4.0
BACKGROUND = 1000
CELL = 2000
NUCLEUS = 5000

CARD = ModelCard(
    name="plain",
    weights="none",
    sha256="0" * 64,
    width=1.0,
    decoder_channels=1,
    pixel_size_um=PIXEL_SIZE_UM,
    data=[],
    licence="none",
    scores={},
    intended_use="tests",
    must_not_be_used_for="anything else",
)


@dataclass
class PlainEngine:
    """Keeps the shapes of its batches; refuses those larger than `most`."""

    batch_size: int = 4
    most: int = 64
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    name: str = "plain"
    digest: str = "plain-1"

    def warm_up(self) -> None:
        """Nothing to warm up."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.shapes.append(batch.shape)
        if len(batch) > self.most:
            raise EngineFailure("no room", reason="out_of_memory")
        return np.stack([_maps(frame[0]) for frame in batch])


def _maps(frame: np.ndarray) -> np.ndarray:
    cell, nucleus = frame > 0.3, frame > 2.0
    depth = ndimage.distance_transform_edt(cell) / CELL_RADIUS_PX
    nucleus_depth = ndimage.distance_transform_edt(nucleus) / NUCLEUS_RADIUS_PX
    low = np.full(frame.shape, -9.0)
    return np.stack([np.where(cell, 9.0, -9.0), depth, low, np.where(nucleus, 9.0, -9.0), nucleus_depth]).astype(
        np.float32
    )


def plain_segmenter(engine: PlainEngine | None = None) -> Segmenter:
    return Segmenter(engine or PlainEngine(), CARD)


def disc_pixels(
    centres: list[tuple[int, int]], shape: tuple[int, int] = (160, 192), radius: float = CELL_RADIUS_PX
) -> np.ndarray:
    """Return uint16 pixels with one bright disc and its nucleus per centre, and a little noise."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    pixels = np.random.default_rng(0).normal(BACKGROUND, 2.0, shape)
    for row, column in centres:
        distance = np.hypot(y - row, x - column)
        pixels[distance <= radius] = CELL
        pixels[distance <= radius * NUCLEUS_RADIUS_PX / CELL_RADIUS_PX] = NUCLEUS
    return pixels.astype(np.uint16)


def disc_frame(centres: list[tuple[int, int]], shape: tuple[int, int] = (160, 192)) -> Frame:
    return Frame(disc_pixels(centres, shape), PIXEL_SIZE_UM)


def disc_grid(count: int, pitch: int = 32) -> list[tuple[int, int]]:
    """Return up to 25 centres that lie apart from one another and from the border of the usual shape."""
    places = [(row, column) for row in range(pitch // 2, 150, pitch) for column in range(pitch // 2, 170, pitch)]
    return places[:count]
