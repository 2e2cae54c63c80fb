"""Frames with true label images for benchmarks: a labelled folder's, or simulated ones where none is given."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from monitor.network.checkpoint import SHIPPED, read_card
from monitor.network.segnet import Map
from monitor.synthetic.culture import Culture, demo_fleet
from monitor.training.sources import read_labelled
from monitor.training.targets import boundary_map, centre_map

Field = tuple[NDArray[np.generic], NDArray[np.int32]]
SLIVER_PX = 300
"""What the edge of a mosaic leaves of a cell is background when it is smaller."""
LOW_POWER = 2.4
"""How much smaller cells are under an objective of low power: 1,400 of them in a frame of 2,048 pixels on a side."""


def add_fields(parser: ArgumentParser) -> None:
    """Let a benchmark take a labelled folder."""
    parser.add_argument("--labelled", type=Path, help="folder of labelled images; default: simulated ones")
    parser.add_argument("--pixel-size", type=float, default=read_card(SHIPPED).pixel_size_um)
    parser.add_argument("--only", help="comma-separated beginnings of names")


def fields(args: Namespace) -> list[Field]:
    """Return pixels and true labels."""
    if args.labelled is None:
        frames = [Culture(spec).frame("p1", 20) for spec in demo_fleet(11)]
        return [(frame.pixels, frame.cells) for frame in frames]
    wanted = tuple(args.only.split(",")) if args.only else ("",)
    images = read_labelled(args.labelled, args.pixel_size)
    return [(image.pixels, image.cells) for image in images if image.name.startswith(wanted)]


def mosaic(some: list[Field], side: int) -> Field:
    """Return one square field of `side` pixels, laid out of fields and their mirror images; ids without gaps."""
    rows: list[Field] = []
    turn = 0
    while sum(part[1].shape[0] for part in rows) < side:
        line: list[Field] = []
        while sum(part[1].shape[1] for part in line) < side:
            pixels, labels = some[turn % len(some)]
            flipped = slice(None, None, -1 if turn // len(some) % 2 else 1)
            line.append((pixels[:, flipped], labels[:, flipped]))
            turn += 1
        height = min(part[1].shape[0] for part in line)
        parts = [(pixels[:height], _apart(labels[:height], index)) for index, (pixels, labels) in enumerate(line)]
        rows.append(
            (np.hstack([part[0] for part in parts])[:, :side], np.hstack([part[1] for part in parts])[:, :side])
        )
    pixels = np.vstack([part[0] for part in rows])[:side]
    labels = np.vstack([_apart(part[1], 1000 * index) for index, part in enumerate(rows)])[:side]
    edge = np.unique(np.concatenate([labels[-1], labels[:, -1]]))
    cut = [label for label in edge if label and (labels == label).sum() < SLIVER_PX]
    labels = np.where(np.isin(labels, cut), 0, labels)
    _, compact = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
    return np.ascontiguousarray(pixels), compact[:-1].reshape(labels.shape).astype(np.int32)


def low_power(some: list[Field]) -> list[Field]:
    """Return the same fields as an objective of low power would show them: every cell `LOW_POWER` times smaller."""
    small = []
    for pixels, labels in some:
        rows, columns = (np.arange(int(length / LOW_POWER)) * LOW_POWER for length in labels.shape)
        place = np.ix_((rows + LOW_POWER / 2).astype(int), (columns + LOW_POWER / 2).astype(int))
        small.append((pixels[place], labels[place]))
    return small


def perfect_maps(cells: NDArray[np.int32], nuclei: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
    """Return the maps that our network would give if it made no mistake: (K, Y, X) float32, by default no nuclei."""
    maps = np.full((len(Map), *cells.shape), -8.0, np.float32)
    maps[Map.CELL][cells > 0] = 8.0
    maps[Map.CELL_CENTRE] = centre_map(cells)
    maps[Map.BOUNDARY][boundary_map(torch.from_numpy(cells)[None])[0].numpy()] = 8.0
    maps[Map.NUCLEUS_CENTRE] = 0.0
    if nuclei is not None:
        maps[Map.NUCLEUS][nuclei > 0] = 8.0
        maps[Map.NUCLEUS_CENTRE] = centre_map(nuclei)
    return maps


def drawn_nuclei(cells: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return a nucleus for each cell, around its geodesic middle: real fields have no true ones."""
    return np.where(centre_map(cells) > 0.75, cells, 0).astype(np.int32)


def instances(mask: NDArray[np.generic], least_px: int) -> NDArray[np.int32]:
    """Return the connected parts (8 neighbours) of a (Y, X) mask as labels from 1, without those that are scraps."""
    labels, _ = ndimage.label(mask > 0, np.ones((3, 3)))
    kept = np.bincount(labels.ravel()) >= least_px
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0)[labels].astype(np.int32)


def _apart(labels: NDArray[np.int32], index: int) -> NDArray[np.int32]:
    return np.where(labels > 0, labels + 100_000 * index, 0)
