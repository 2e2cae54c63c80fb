"""Phantoms of stated crowding for tests, made once per process."""

import functools

import numpy as np

from monitor.synthetic.optics import Optics
from monitor.synthetic.phantom import Debris, Phantom, PhantomSpec, grow_population, simulate_frame

SIDE = 320
PIXEL_SIZE_UM = 1.1


@functools.cache
def phantom(
    seed: int,
    covered: float = 0.3,
    senescence: float = 0.1,
    *,
    optics: Optics = Optics(),  # noqa: B008 - frozen
    debris: Debris = Debris(1, 4),  # noqa: B008 - frozen
    shape_px: tuple[int, int] = (SIDE, SIDE),
    pixel_size_um: float = PIXEL_SIZE_UM,
) -> Phantom:
    """Return a phantom whose cells are set to cover a share of the frame."""
    random = np.random.default_rng(seed)
    cells = grow_population(random, shape_px, pixel_size_um, covered=covered, typical_um2=1900.0, senescence=senescence)
    return simulate_frame(seed, spec=PhantomSpec(shape_px, pixel_size_um, cells, debris, optics))


def matched_f1(truth: np.ndarray, found: np.ndarray, least_iou: float = 0.5) -> float:
    """Return the F1 score of instances at an IoU of at least one half, where a match is one to one."""
    return f1_of(*matches(truth, found, least_iou))


def matches(truth: np.ndarray, found: np.ndarray, least_iou: float = 0.5) -> tuple[int, int, int]:
    """Return true positives, true instances and found instances."""
    n_truth, n_found = int(truth.max(initial=0)), int(found.max(initial=0))
    common = np.zeros((n_truth + 1, n_found + 1))
    np.add.at(common, (truth.ravel(), found.ravel()), 1)
    union = common.sum(1, keepdims=True) + common.sum(0, keepdims=True) - common
    iou = (common / np.maximum(union, 1.0))[1:, 1:]
    return int((iou > least_iou).any(1).sum()), n_truth, n_found


def f1_of(matched: int, n_truth: int, n_found: int) -> float:
    return 2.0 * matched / max(1, n_truth + n_found)
