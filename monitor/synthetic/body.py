"""The outline of one simulated cell: spindle, stellate, flat, rounded; drawn on a window of the frame."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["spindle", "stellate", "flat", "rounded"]
WANDER_KNOTS = 9
"""Random values along an edge that the outline wanders through."""


@dataclass(frozen=True, slots=True)
class Body:
    """Geometry of a cell; lengths in um, angles in radians.

    area_um2: 150 to 6000 (mesenchymal stem cells at passage 1 to 3: 1800 to 2500, Oja et al. 2018); aspect: length over
    width of a spindle, 1.5 to 14, or of the others' mean ellipse, 1 to 2; ruffle: relative wander of the outline, 0 to
    0.5; arms: processes of a stellate cell, 2 to 6; seed: of everything else that is random about the outline.
    """

    kind: Kind
    y_um: float
    x_um: float
    angle: float
    area_um2: float
    aspect: float = 1.3
    ruffle: float = 0.2
    arms: int = 3
    seed: int = 0

    @property
    def reach_um(self) -> float:
        """Return a radius that holds the whole outline."""
        if self.kind == "spindle":
            return 1.25 * float(np.sqrt(self.area_um2 * self.aspect)) + 3.0
        return (
            float(np.sqrt(self.area_um2 / np.pi) * (3.2 if self.kind == "stellate" else 1.9 * self.aspect**0.5)) + 3.0
        )


def drawn(body: Body, y_um: NDArray[np.float64], x_um: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether the points at (rows,) y and (columns,) x lie within the cell, (rows, columns) bool."""
    random = np.random.default_rng([body.seed, 11])
    dy, dx = ((at - middle).astype(np.float32) for at, middle in ((y_um, body.y_um), (x_um, body.x_um)))
    cos, sin = np.float32(np.cos(body.angle)), np.float32(np.sin(body.angle))
    u = cos * dx[None, :] + sin * dy[:, None]
    v = cos * dy[:, None] - sin * dx[None, :]
    if body.kind == "spindle":
        return _spindle(body, u, v, random)
    if body.kind == "stellate":
        return _stellate(body, u, v, random)
    return _blob(body, u, v, random)


def _spindle(
    body: Body, u: NDArray[np.float32], v: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.bool_]:
    # |v| < W (1 - |u/L|^p) has the area 4 L W p / (p + 1)
    power = random.uniform(0.7, 2.6)
    half_width = np.sqrt(body.area_um2 / (4.0 * body.aspect * power / (power + 1.0)))
    half_length = body.aspect * half_width
    bend, twist = random.normal(0.0, 0.16) / half_length, random.normal(0.0, 0.12) / half_length**2
    inside: NDArray[np.bool_] = np.abs(u) < np.float32(half_length)
    u = u[inside]
    v = v[inside] - u * u * (np.float32(bend) + np.float32(twist) * u)
    along = u / np.float32(half_length)
    width = half_width * (1.0 - np.clip(np.abs(along), 0.0, 1.0) ** power)
    # thin ends stay as wide as a process, at least 0.8 um
    width = np.maximum(width, np.where(np.abs(along) < 0.97, random.uniform(0.4, 0.9), 0.0))
    sides = np.exp(body.ruffle * 1.2 * random.standard_normal((2, WANDER_KNOTS)))
    sides /= sides.mean(1, keepdims=True)
    knots = np.linspace(-1.0, 1.0, WANDER_KNOTS)
    wander = np.where(v > 0.0, _through(along, knots, sides[0]), _through(along, knots, sides[1]))
    inside[inside] = np.abs(v) < width * wander
    return inside


def _stellate(
    body: Body, u: NDArray[np.float32], v: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.bool_]:
    radius = np.sqrt(body.area_um2 / np.pi)
    angles = np.cumsum(random.uniform(0.5, 1.5, body.arms))
    angles = angles / angles[-1] * 2.0 * np.pi + random.uniform(0.0, 6.3)
    inside = _blob(body, u / 0.68, v / 0.68, random)
    for angle in angles:
        length = radius * random.uniform(1.1, 2.8)
        base = radius * random.uniform(0.28, 0.7)
        tip = random.uniform(0.4, 1.6)
        along = np.cos(angle) * u + np.sin(angle) * v
        across = -np.sin(angle) * u + np.cos(angle) * v - random.normal(0.0, 0.12) / radius * along * np.abs(along)
        taper = np.clip(along / length, 0.0, 1.0)
        width = base * (1.0 - taper) ** random.uniform(0.8, 2.0) + tip
        inside |= (np.abs(across) < width) & (along > 0.0) & (along < length)
    return inside


def _blob(body: Body, u: NDArray[np.float32], v: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.bool_]:
    radius = np.sqrt(body.area_um2 / np.pi)
    stretch = np.float32(np.sqrt(body.aspect))
    strength = body.ruffle * (0.12 if body.kind == "rounded" else 0.55)
    waves = np.array(
        [strength / wave**0.9 * random.normal() * np.exp(1j * random.uniform(0.0, 6.3)) for wave in range(2, 12)],
        np.complex64,
    )
    u, v = u / stretch, v * stretch
    distance = np.hypot(u, v)
    inside: NDArray[np.bool_] = distance < np.float32(2.0 * radius)
    distance = distance[inside]
    # cosines of all multiples of the angle as one polynomial of exp(i angle)
    turn = (u[inside] + np.complex64(1j) * v[inside]) / np.maximum(distance, 1e-6)
    edge = np.zeros_like(turn)
    for wave in waves[::-1]:
        edge = (edge + wave) * turn
    edge = 1.0 + (edge * turn).real
    inside[inside] = distance < np.float32(radius) * np.clip(edge, 0.35, 2.0)
    return inside


def _through(x: NDArray[np.float32], knots: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a smooth curve through (K,) values at evenly spaced knots, at any x."""
    position = np.clip((x - knots[0]) / (knots[1] - knots[0]), 0.0, len(knots) - 1.001)
    index = position.astype(np.int64)
    part = position - index
    ease = part * part * (3.0 - 2.0 * part)
    curve: NDArray[np.float32] = (values[index] * (1.0 - ease) + values[index + 1] * ease).astype(np.float32)
    return curve
