"""Six simulated laboratories whose optics lie outside the ranges that the network is taught on; never trained on."""

from collections.abc import Iterator

from monitor.synthetic.arrangement import Crowd
from monitor.synthetic.body import Kind
from monitor.synthetic.camera import Camera
from monitor.synthetic.inner import Style
from monitor.synthetic.scene import Litter, Scene, SceneSpec, simulate_scene
from monitor.synthetic.wave_optics import Microscope

FIELDS = 3
FIRST_SEED = 910_000

MIXED: tuple[tuple[Kind, float], ...] = (("spindle", 0.5), ("stellate", 0.3), ("flat", 0.2))

FOREIGN: dict[str, SceneSpec] = {
    # narrow ring far out in a wide pupil, hardly absorbing
    "simulated 1, phase, wide aperture": SceneSpec(
        (512, 512), 0.65, Crowd("single", MIXED, 2200.0, 0.45, aspect=5.0, aligned=0.4),
        Style(peak=1.1, nucleus=-0.18, envelope=0.15, granules=0.12, nucleus_um2=210.0),
        Microscope(aperture=0.6, ring_radius=0.7, ring_width=0.03, ring_amplitude=0.9, wavelength_um=0.64),
    ),
    # an objective of low power: cells are small and blurred
    "simulated 2, phase, low power": SceneSpec(
        (448, 448), 1.6, Crowd("streams", (("spindle", 1.0),), 1900.0, 0.6, aspect=5.5, aligned=0.95),
        Style(peak=1.2, nucleus=-0.2, envelope=0.2, granules=0.1, nucleus_um2=230.0),
        Microscope(aperture=0.16, ring_radius=0.5, ring_width=0.15, ring_amplitude=0.35),
    ),
    # thick cells, strong stray light, bright cells
    "simulated 3, phase, negative and milky": SceneSpec(
        (480, 480), 0.9, Crowd("islands", (("flat", 1.0),), 650.0, 0.6, ruffle=0.2),
        Style(peak=2.4, lamella=0.3, nucleus=-0.2, envelope=0.1, granules=0.1, nucleus_um2=120.0),
        Microscope(aperture=0.35, ring_sign=-1, ring_radius=0.45, ring_amplitude=0.25),
        Camera(stray=0.9, photons=4000.0),
    ),
    # far from focus, almost coherent
    "simulated 4, brightfield, far from focus": SceneSpec(
        (480, 480), 0.8, Crowd("single", MIXED, 1800.0, 0.4, aspect=4.0),
        Style(peak=1.6, nucleus=-0.25, envelope=0.1, granules=0.15, nucleus_um2=200.0),
        Microscope("brightfield", aperture=0.3, defocus_um=18.0, condenser=0.15), Camera(photons=30000.0),
    ),
    # wide shear, little bias
    "simulated 5, interference, wide shear": SceneSpec(
        (480, 480), 0.55, Crowd("single", MIXED, 1700.0, 0.45, aspect=4.0),
        Style(peak=1.2, nucleus=0.12, envelope=0.2, granules=0.12, nucleus_um2=190.0),
        Microscope("interference", aperture=0.6, shear_um=1.2, bias=0.35, direction=2.4), Camera(stray=0.05),
    ),
    # a sharp slit with much litter
    "simulated 6, relief, wide aperture": SceneSpec(
        (480, 480), 0.7, Crowd("streams", (("spindle", 1.0),), 2000.0, 0.7, aspect=6.0, aligned=0.95),
        Style(peak=1.3, nucleus=-0.12, envelope=0.25, granules=0.12, nucleus_um2=210.0),
        Microscope("relief", aperture=0.6, direction=5.1), Camera(bits=8, jpeg=50), Litter(specks=200, floating=4),
    ),
}  # fmt: skip
"""Name, with its contrast method after the first comma, and what its frames show."""


def foreign_fields() -> Iterator[tuple[str, str, list[Scene]]]:
    """Yield name, contrast method and `FIELDS` frames of each; the same every time."""
    for number, (name, spec) in enumerate(FOREIGN.items()):
        scenes = [simulate_scene(FIRST_SEED + 100 * number + index, spec) for index in range(FIELDS)]
        yield name, spec.microscope.contrast, scenes
