"""Laboratories drawn at random: cells, contrast method, objective, camera; the ranges that the network is taught on.

Ranges come from makers' public tables of objectives and phase rings (apertures 0.25 to 0.5 for 10 to 20 times, rings
at a third to two thirds of the pupil that absorb 40 to 90 % of the light), from measured refractive indices of cells
(sources in `inner.Style`) and from sizes of adherent cells (Oja et al. 2018: mesenchymal cells 1,800 to 2,500 um2 and
up to 4.8 times that; epithelial and round cells 150 to 800 um2). Where nothing is published the range is a choice of
ours, made by looking at real frames: cloud, litter, stray light, unevenness.
"""

from typing import get_args

import numpy as np

from monitor.synthetic.arrangement import Crowd, Pattern
from monitor.synthetic.body import Kind
from monitor.synthetic.camera import Camera
from monitor.synthetic.inner import Style
from monitor.synthetic.scene import Litter, Scene, SceneSpec, simulate_scene
from monitor.synthetic.wave_optics import Contrast, Microscope

CONTRASTS: dict[Contrast, float] = {"phase": 0.56, "brightfield": 0.22, "interference": 0.11, "relief": 0.11}
"""Share of each contrast method."""
POPULATIONS: tuple[tuple[float, Pattern, tuple[tuple[Kind, float], ...], tuple[float, float]], ...] = (
    (0.16, "single", (("spindle", 1.0),), (0.05, 0.8)),
    (0.14, "streams", (("spindle", 1.0),), (0.35, 0.97)),
    (0.13, "single", (("stellate", 1.0),), (0.05, 0.7)),
    (0.08, "single", (("flat", 1.0),), (0.05, 0.8)),
    (0.09, "single", (("rounded", 1.0),), (0.05, 0.6)),
    (0.18, "single", (("spindle", 0.4), ("stellate", 0.25), ("flat", 0.25), ("rounded", 0.1)), (0.1, 0.92)),
    (0.11, "islands", (("flat", 1.0),), (0.15, 0.85)),
    (0.11, "sheet", (("flat", 1.0),), (0.5, 1.0)),
)
"""Share, pattern, kinds and range of cover of each population."""
CONTRAST_NAMES = get_args(Contrast)


def scene_of(seed: int) -> Scene:
    """Return a frame of a random laboratory; the same seed gives the same one."""
    return simulate_scene(seed, random_laboratory(seed))


def random_laboratory(seed: int) -> SceneSpec:
    """Draw what a frame of a random laboratory shows."""
    random = np.random.default_rng([seed, 5])
    # cells are 0.6 to 1.4 times as large on the network's grid as at its own scale; crops scale them further
    pixel_size_um = _log_uniform(random, 0.6, 1.5)
    side = int(np.clip(random.uniform(330.0, 480.0) / pixel_size_um, 320, 640)) // 32 * 32
    shares = np.array([population[0] for population in POPULATIONS])
    _, pattern, kinds, cover = POPULATIONS[int(random.choice(len(POPULATIONS), p=shares / shares.sum()))]
    tissue = pattern in ("islands", "sheet")
    typical = _log_uniform(random, 220.0, 1600.0) if tissue else _log_uniform(random, 350.0, 3600.0)
    if kinds == (("rounded", 1.0),):
        typical = _log_uniform(random, 200.0, 900.0)
    crowd = Crowd(
        pattern, kinds, typical, float(random.uniform(*cover)),
        aspect=_log_uniform(random, 2.5, 11.0), ruffle=float(random.uniform(0.08, 0.4)),
        aligned=float(random.uniform(0.85, 1.0)) if pattern == "streams" else float(random.choice([0.0, 0.4, 0.9])),
        overlap=float(random.choice([0.0, 0.1, 0.25])),
    )  # fmt: skip
    contrast = CONTRAST_NAMES[int(random.choice(len(CONTRAST_NAMES), p=[CONTRASTS[name] for name in CONTRAST_NAMES]))]
    return SceneSpec(
        (side, side), pixel_size_um, crowd, _style(random, typical, contrast),
        _microscope(random, contrast), _camera(random), _litter(random),
    )  # fmt: skip


def _style(random: np.random.Generator, typical_um2: float, contrast: Contrast) -> Style:
    nucleus = float(np.clip(_log_uniform(random, 0.06, 0.38) * typical_um2, 45.0, 420.0))
    return Style(
        # a transparent object in brightfield needs more path to be seen
        peak=_log_uniform(random, 0.25, 2.0) * (1.4 if contrast == "brightfield" else 1.0),
        lamella=_log_uniform(random, 0.04, 0.5),
        edge_um=_log_uniform(random, 0.5, 3.5),
        dome=float(random.uniform(0.6, 2.4)),
        nucleus=float(random.uniform(-0.35, 0.25)),
        soft_um=float(random.uniform(0.3, 1.5)),
        envelope=float(random.uniform(0.0, 0.3)),
        nucleoli=float(random.uniform(0.1, 0.9)),
        granules=0.4 * float(random.beta(1.0, 2.4)),
        grain_um=float(random.uniform(0.2, 0.6)),
        ruffles=float(random.choice([0.0, random.uniform(0.0, 0.4)])),
        nucleus_um2=nucleus,
        two=float(random.choice([0.0, 0.03, 0.1])),
        lobed=float(random.choice([0.0, 0.02, 0.3], p=[0.6, 0.35, 0.05])),
    )


def _microscope(random: np.random.Generator, contrast: Contrast) -> Microscope:
    defocus = {
        "phase": random.choice([0.0, random.normal(0.0, 2.5)]),
        "brightfield": random.choice([-1.0, 1.0]) * random.uniform(2.5, 14.0),
        "interference": random.normal(0.0, 1.0),
        "relief": random.normal(0.0, 1.5),
    }[contrast]
    return Microscope(
        contrast=contrast,
        aperture=float(random.uniform(0.25, 0.5)),
        wavelength_um=float(random.uniform(0.5, 0.62)),
        defocus_um=float(defocus),
        ring_radius=float(random.uniform(0.3, 0.62)),
        ring_width=float(random.uniform(0.04, 0.12)),
        ring_amplitude=float(random.uniform(0.3, 0.8)),
        ring_sign=-1 if random.random() < 0.2 else 1,
        condenser=float(random.uniform(0.2, 0.7)),
        shear_um=float(random.uniform(0.3, 0.9)),
        bias=float(random.uniform(0.5, 1.6)),
        direction=float(random.uniform(0.0, 2.0 * np.pi)),
    )


def _camera(random: np.random.Generator) -> Camera:
    bits = 8 if random.random() < 0.5 else 16
    return Camera(
        stray=float(random.uniform(0.0, 0.6)),
        unevenness=0.7 * float(random.beta(1.0, 4.0)),
        photons=_log_uniform(random, 600.0, 40000.0),
        read_noise=_log_uniform(random, 0.001, 0.02),
        background=float(random.uniform(0.2, 0.55)),
        bits=bits,
        jpeg=int(random.integers(60, 95)) if bits == 8 and random.random() < 0.25 else None,
    )


def _litter(random: np.random.Generator) -> Litter:
    return Litter(
        specks=int(_log_uniform(random, 1.0, 160.0)) - 1 if random.random() < 0.7 else 0,
        floating=int(random.poisson(1.5)),
        dust=int(random.poisson(1.0)),
        cloud=float(random.choice([0.0, random.uniform(0.0, 0.25)])),
    )


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(high))))
