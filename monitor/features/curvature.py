"""Curvature of outlines, smoothed over a stated length so that it does not see the pixels."""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.features.contour import Contours
from monitor.features.label_runs import Vector

SMOOTHING_UM = 2.0
"""Standard deviation of the Gaussian along the outline. Bays narrower than twice that are not seen, and the curvature
of a disc of radius R comes out too high by about 2 / R^2 (R in um): 2 % at 10 um, under 0.2 % at 35 um."""
LEAST_SMOOTHING_PX = 2.5
"""Where pixels are coarse, the Gaussian is as wide as this at least: below it curvature is that of the pixels."""
LEAST_LENGTH = 6.0
"""An outline shorter than so many standard deviations has no curvature."""


def curvatures(contours: Contours, pixel_size_um: float) -> Vector:
    """Return mean negative curvature and bending energy of each outline, (N, 2): 1/um and 1/um2, both >= 0.

    With the curvature k in 1/um, positive where the outline bulges out, over the length L of the outline: the mean of
    max(-k, 0), 0 for a convex shape; and the mean of k^2 (Young, Walker & Bowie 1974), 1 / R^2 for a disc. The outline
    is smoothed by a Gaussian and its derivatives (Mokhtarian & Mackworth 1992). NaN for outlines too short for that.
    """
    sigma_px = max(SMOOTHING_UM / pixel_size_um, LEAST_SMOOTHING_PX)
    found = _curvatures(contours.y, contours.x, contours.begins, sigma_px, LEAST_LENGTH)
    in_um: Vector = found / np.array([pixel_size_um, pixel_size_um**2])
    return in_um


@numba.njit(cache=True, nogil=True)
def _curvatures(y: Vector, x: Vector, begins: NDArray[np.int64], sigma_px: float, least: float) -> Vector:
    found = np.full((begins.size - 1, 2), np.nan)
    for k in range(begins.size - 1):
        own_y, own_x = y[begins[k] : begins[k + 1]], x[begins[k] : begins[k + 1]]
        count = own_y.size
        length = 0.0
        for i in range(count):
            length += np.hypot(own_y[i] - own_y[i - 1], own_x[i] - own_x[i - 1])
        if length < least * sigma_px:
            continue
        sigma = sigma_px * count / length
        first, second = _kernels(sigma)
        total = negative = squared = 0.0
        for i in range(count):
            dy, dx, ddy, ddx = _derivatives(own_y, own_x, i, first, second)
            speed = np.hypot(dy, dx)
            if speed > 0.0:
                curvature = (dx * ddy - dy * ddx) / speed**3
                total += speed
                negative += speed * max(-curvature, 0.0)
                squared += speed * curvature * curvature
        if total > 0.0:
            found[k, 0], found[k, 1] = negative / total, squared / total
    return found


@numba.njit(cache=True, nogil=True)
def _kernels(sigma: float) -> tuple[Vector, Vector]:
    """Return the first and second derivative of a Gaussian at 0, 1, ... to four sigmas.

    They are scaled to give 1 on i and 2 on i^2, so that short kernels are right too.
    """
    reach = int(np.ceil(4.0 * sigma))
    first, second = np.zeros(reach + 1), np.zeros(reach + 1)
    slope, bend, rest = 0.0, 0.0, 0.0
    for i in range(reach + 1):
        gauss = np.exp(-0.5 * (i / sigma) ** 2)
        first[i], second[i] = i * gauss, (i * i / (sigma * sigma) - 1.0) * gauss
        slope += 2.0 * i * first[i]
        rest += second[i] * (2.0 if i else 1.0)
    second -= rest / (2.0 * reach + 1.0)
    for i in range(reach + 1):
        bend += 2.0 * i * i * second[i]
    return first / slope, second * 2.0 / bend


@numba.njit(cache=True, nogil=True)
def _derivatives(y: Vector, x: Vector, i: int, first: Vector, second: Vector) -> tuple[float, float, float, float]:
    count = y.size
    dy = dx = 0.0
    ddy, ddx = second[0] * y[i], second[0] * x[i]
    for step in range(1, first.size):
        after, before = (i + step) % count, (i - step) % count
        dy += first[step] * (y[after] - y[before])
        dx += first[step] * (x[after] - x[before])
        ddy += second[step] * (y[after] + y[before])
        ddx += second[step] * (x[after] + x[before])
    return dy, dx, ddy, ddx
