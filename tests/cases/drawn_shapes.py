"""Shapes with known measures, drawn on pixels by sampling each pixel on a finer grid."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SAMPLES = 5
"""Samples of a pixel along each side; it belongs to a shape when more than half of them do."""


@dataclass(frozen=True)
class Star:
    """r(t) = radius (1 + depth cos(points t)): a disc for depth 0. Lengths in um; turned by angle."""

    radius: float
    depth: float = 0.0
    points: int = 5
    angle: float = 0.0

    def holds(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        turn = np.arctan2(y, x) - self.angle
        return np.hypot(y, x) <= self.radius * (1.0 + self.depth * np.cos(self.points * turn))

    def truth(self) -> dict[str, float]:
        """Measures by quadrature over the outline, whose curvature is known in closed form."""
        t = (np.arange(200_000) + 0.5) / 200_000 * 2.0 * math.pi
        n, a, big = self.points, self.depth, self.radius
        r = big * (1.0 + a * np.cos(n * t))
        first, second = -big * a * n * np.sin(n * t), -big * a * n * n * np.cos(n * t)
        speed = np.hypot(r, first)
        curvature = (r * r + 2.0 * first**2 - r * second) / speed**3
        weight = speed / speed.sum()
        order = np.argsort(r)
        return {
            "area": math.pi * big**2 * (1.0 + a * a / 2.0),
            "perimeter": float(speed.mean()) * 2.0 * math.pi,
            "max_centroid_distance": big * (1.0 + a),
            "mean_centroid_distance": float((r * weight).sum()),
            "median_centroid_distance": float(r[order][np.searchsorted(np.cumsum(weight[order]), 0.5)]),
            "mean_negative_curvature": float((np.maximum(-curvature, 0.0) * weight).sum()),
            "bending_energy": float((curvature**2 * weight).sum()),
        }


@dataclass(frozen=True)
class Ellipse:
    """Half axes a >= b in um; turned by angle."""

    a: float
    b: float
    angle: float = 0.0

    def holds(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        along, across = turned(y, x, self.angle)
        return (along / self.a) ** 2 + (across / self.b) ** 2 <= 1.0

    def truth(self) -> dict[str, float]:
        a, b = self.a, self.b
        t = (np.arange(200_000) + 0.5) / 200_000 * 2.0 * math.pi
        speed = np.hypot(a * np.sin(t), b * np.cos(t))
        weight, curvature, r = speed / speed.sum(), a * b / speed**3, np.hypot(a * np.cos(t), b * np.sin(t))
        return {
            "area": math.pi * a * b,
            "perimeter": float(speed.mean()) * 2.0 * math.pi,
            "max_feret": 2.0 * a,
            "min_feret": 2.0 * b,
            "major_axis": 2.0 * a,
            "minor_axis": 2.0 * b,
            "aspect_ratio": a / b,
            "eccentricity": math.sqrt(1.0 - (b / a) ** 2),
            "form_factor": 4.0 * math.pi * math.pi * a * b / (float(speed.mean()) * 2.0 * math.pi) ** 2,
            "compactness": math.sqrt(b / a),
            "max_radius": b,
            "max_centroid_distance": a,
            "mean_centroid_distance": float((r * weight).sum()),
            "mean_negative_curvature": 0.0,
            "bending_energy": float((curvature**2 * weight).sum()),
        }


@dataclass(frozen=True)
class Rectangle:
    """Sides long >= wide in um; turned by angle."""

    long: float
    wide: float
    angle: float = 0.0

    def holds(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        along, across = turned(y, x, self.angle)
        return (np.abs(along) <= self.long / 2.0) & (np.abs(across) <= self.wide / 2.0)

    def truth(self) -> dict[str, float]:
        long, wide = self.long, self.wide
        diagonal = math.hypot(long, wide)
        # the pixels of depth at least h make up a rectangle that is smaller by 2 h on either side
        mean = wide * (3.0 * long - wide) / (12.0 * long)
        return {
            "area": long * wide,
            "perimeter": 2.0 * (long + wide),
            "max_feret": diagonal,
            "min_feret": wide,
            "major_axis": 2.0 * long / math.sqrt(3.0),
            "minor_axis": 2.0 * wide / math.sqrt(3.0),
            "aspect_ratio": long / wide,
            "compactness": math.sqrt(4.0 * long * wide / math.pi) / diagonal,
            "max_radius": wide / 2.0,
            "mean_radius": mean,
            "max_centroid_distance": diagonal / 2.0,
        }


def turned(y: np.ndarray, x: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def draw(
    holds: Callable[[np.ndarray, np.ndarray], np.ndarray],
    pixel_size_um: float,
    side_um: float = 120.0,
    centre_um: tuple[float, float] = (60.0, 60.0),
) -> np.ndarray:
    """Return a square label image with one shape around `centre_um`, as measured from the upper left corner."""
    side = round(side_um / pixel_size_um)
    fine = (np.arange(side * SAMPLES) + 0.5) / SAMPLES * pixel_size_um
    inside = holds(fine[:, None] - centre_um[0], fine[None, :] - centre_um[1])
    share = inside.reshape(side, SAMPLES, side, SAMPLES).mean(axis=(1, 3))
    return (share > 0.5).astype(np.int32)
