"""Large frames in overlapping tiles, so that memory does not grow with the frame.

Only the network sees tiles. Its maps are laid together before they are decoded, so instances know nothing of tiles.
"""

import hashlib
import itertools

import numpy as np
from numpy.typing import NDArray

from monitor.engine.base import SegmentationEngine

STRIDE = 32
"""The network's coarsest stride; tiles begin at its multiples, so that every tile is sampled like the whole frame."""


class TiledEngine:
    """See `SegmentationEngine`; frames of at most `tile_px` on both sides go through whole.

    Parameters
    ----------
    tile_px, margin_px
        Side of a tile with its margin, and the margin whose maps are thrown away at every inner edge; multiples of 32.
        The margin is what the network looks at around a pixel: beyond it, what it saw has no weight that matters.
    """

    def __init__(self, engine: SegmentationEngine, *, tile_px: int = 2048, margin_px: int = 256) -> None:
        if tile_px % STRIDE or margin_px % STRIDE or tile_px <= 2 * margin_px:
            message = (
                f"tiles of {tile_px} px with margins of {margin_px} px: multiples of 32 and tile > 2 margins needed"
            )
            raise ValueError(message)
        self._engine = engine
        self._tile_px = tile_px
        self._margin_px = margin_px

    @property
    def name(self) -> str:
        """What really runs."""
        return self._engine.name

    @property
    def digest(self) -> str:
        """Digest of the engine inside and of the tiles."""
        return hashlib.sha256(f"tiles {self._tile_px} {self._margin_px}|{self._engine.digest}".encode()).hexdigest()

    @property
    def batch_size(self) -> int:
        """Largest batch worth making."""
        return self._engine.batch_size

    def whole(self, rows: int, columns: int) -> SegmentationEngine | None:
        """Return the engine inside when frames of this size go through it whole, else None."""
        return self._engine if max(rows, columns) <= self._tile_px else None

    def warm_up(self) -> None:
        """Run the engine inside once."""
        self._engine.warm_up()

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map [B, 1, H, W] to [B, K, H, W]."""
        rows, columns = batch.shape[2:]
        if max(rows, columns) <= self._tile_px:
            return self._engine(batch)
        stitched: NDArray[np.float32] | None = None
        for tile_y, kept_y in self._spans(rows):
            for tile_x, kept_x in self._spans(columns):
                maps = self._engine(np.ascontiguousarray(batch[:, :, tile_y, tile_x]))
                if stitched is None:
                    stitched = np.empty((*maps.shape[:2], rows, columns), np.float32)
                inside_y = slice(kept_y.start - tile_y.start, kept_y.stop - tile_y.start)
                inside_x = slice(kept_x.start - tile_x.start, kept_x.stop - tile_x.start)
                stitched[:, :, kept_y, kept_x] = maps[:, :, inside_y, inside_x]
        assert stitched is not None
        return stitched

    def _spans(self, length: int) -> list[tuple[slice, slice]]:
        """Return where tiles lie along a side, all of one length, and the part of each that is kept."""
        tile, margin = min(self._tile_px, length), self._margin_px
        starts = [*range(0, length - tile, tile - 2 * margin), length - tile]
        edges = [0, *(start + margin for start in starts[1:]), length]
        return [
            (slice(start, start + tile), slice(*kept))
            for start, kept in zip(starts, itertools.pairwise(edges), strict=True)
        ]
