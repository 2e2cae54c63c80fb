"""The microscope of the simulation against what optics says of simple objects."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from monitor.synthetic.wave_optics import Contrast, Microscope, images_of, propagated

PIXEL_UM = 0.5
CONTRASTS: tuple[Contrast, ...] = ("phase", "brightfield", "interference", "relief")


def disc(phase: float, radius_um: float = 8.0, side: int = 192) -> np.ndarray:
    y, x = np.ogrid[:side, :side]
    inside = np.hypot(y - side / 2, x - side / 2) * PIXEL_UM < radius_um
    return np.exp(1j * phase * ndimage.gaussian_filter(inside.astype(np.float32), 1.0)).astype(np.complex64)


def seen(phase: float, microscope: Microscope, radius_um: float = 8.0) -> np.ndarray:
    (image,) = images_of([disc(phase, radius_um)], PIXEL_UM, microscope)
    return image


def middle(image: np.ndarray) -> float:
    return float(image[88:104, 88:104].mean())


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_an_empty_field_is_one_everywhere(contrast: Contrast) -> None:
    (image,) = images_of([np.ones((96, 64), np.complex64)], PIXEL_UM, Microscope(contrast, defocus_um=5.0))
    assert np.allclose(image, 1.0, atol=1e-4)


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_an_absorber_is_dark_and_nothing_is_negative(contrast: Contrast) -> None:
    side = 192
    y, x = np.ogrid[:side, :side]
    opaque = np.where(np.hypot(y - 96, x - 96) < 40, 0.0, 1.0).astype(np.complex64)
    (image,) = images_of([opaque], PIXEL_UM, Microscope(contrast))
    assert image.min() >= 0.0
    assert image[88:104, 88:104].mean() < 0.5 * image[:20, :20].mean()


def test_a_thin_cell_is_dark_in_positive_phase_contrast_and_bright_in_negative() -> None:
    positive = Microscope(ring_width=0.05, ring_amplitude=0.6)
    assert middle(seen(0.3, positive)) < 0.85
    assert middle(seen(0.3, replace(positive, ring_sign=-1))) > 1.15
    # thinner than the medium around it: the other way round
    assert middle(seen(-0.3, positive)) > 1.15


def test_phase_contrast_gives_a_halo_and_shades_off_large_objects() -> None:
    microscope = Microscope(ring_width=0.12, ring_amplitude=0.5)
    image = seen(0.4, microscope)
    distance = np.hypot(*(np.indices(image.shape) - 96)) * PIXEL_UM
    halo = image[(distance > 9.5) & (distance < 13.0)].mean()
    far = image[(distance > 35.0) & (distance < 45.0)].mean()
    assert halo > far + 0.02
    small, large = middle(seen(0.4, microscope, 6.0)), middle(seen(0.4, microscope, 30.0))
    assert small < large, "the middle of a large object comes back towards the background"


def test_a_weak_phase_object_vanishes_in_focus_in_brightfield_and_turns_over_with_defocus() -> None:
    focus, above, below = (
        seen(0.3, Microscope("brightfield", defocus_um=defocus, condenser=0.2)) for defocus in (0.0, 8.0, -8.0)
    )
    assert focus.std() < 0.25 * above.std()
    rim = np.abs(np.hypot(*(np.indices(focus.shape) - 96)) * PIXEL_UM - 7.0) < 0.6
    assert (above[rim].mean() - 1.0) * (below[rim].mean() - 1.0) < 0.0


@pytest.mark.parametrize("contrast", ["interference", "relief"])
def test_slopes_are_bright_on_one_side_and_dark_on_the_other(contrast: Contrast) -> None:
    image = seen(0.8, Microscope(contrast, direction=0.0))
    left, right = image[80:112, 78:84].mean(), image[80:112, 109:115].mean()
    assert abs(left - right) > 0.1
    turned = seen(0.8, Microscope(contrast, direction=np.pi))
    assert (left - right) * (turned[80:112, 78:84].mean() - turned[80:112, 109:115].mean()) < 0.0


def test_the_aperture_sets_what_is_resolved() -> None:
    x = np.arange(256) * PIXEL_UM
    grating = np.exp(0.3j * np.sin(2 * np.pi * x / 2.0))[None, :].repeat(64, 0).astype(np.complex64)
    fine, coarse = (
        images_of([grating], PIXEL_UM, Microscope(aperture=aperture, ring_radius=0.3))[0] for aperture in (0.5, 0.1)
    )
    assert fine.std() > 20.0 * coarse.std()


def test_a_field_keeps_its_energy_on_its_way_and_comes_back() -> None:
    field = disc(1.2)
    away = propagated(field, PIXEL_UM, 60.0)
    assert np.abs(away - field).max() > 0.3
    assert np.isclose((np.abs(away) ** 2).sum(), (np.abs(field) ** 2).sum(), rtol=1e-4)
    assert np.allclose(propagated(away, PIXEL_UM, -60.0), field, atol=1e-3)


def test_images_of_several_objects_are_those_of_each_alone() -> None:
    together = images_of([disc(0.3), disc(1.0)], PIXEL_UM, Microscope())
    assert np.array_equal(together[0], seen(0.3, Microscope()))
    assert np.array_equal(together[1], seen(1.0, Microscope()))
