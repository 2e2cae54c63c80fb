"""Every reason for which a frame fails, and what the numbers mean."""

from dataclasses import replace

import numpy as np
import pytest
from cases.phantoms import PIXEL_SIZE_UM, phantom
from scipy import ndimage

from monitor.frames.frame import Frame
from monitor.frames.normalize import normalize
from monitor.messages import FrameQuality
from monitor.segmentation.quality import (
    Decoded,
    QualitySettings,
    assess,
    doubt_of,
    focus_of,
    outlines,
    saturated_fraction,
    unevenness,
)
from monitor.synthetic.optics import Optics
from monitor.synthetic.phantom import Debris, Phantom, simulate_frame


def read(cells: np.ndarray, nuclei: np.ndarray | None = None, cell: np.ndarray | None = None) -> Decoded:
    """What a network would give that is sure of these cells, or undecided where `cell` says so."""
    sure = np.where(cells > 0, 0.98, 0.02).astype(np.float32)
    edge = np.where(outlines(cells) & (cells > 0), 0.95, 0.02).astype(np.float32)
    centre = np.where(cells > 0, 0.95, 0.0).astype(np.float32)
    if cell is not None:
        centre, edge = np.minimum(centre, cell), np.minimum(edge, cell)
    nuclei = np.zeros_like(cells) if nuclei is None else nuclei
    return Decoded(sure if cell is None else cell, centre, edge, cells, nuclei, cells)


def judged(
    taken: Phantom,
    *,
    pixels: np.ndarray | None = None,
    cells: np.ndarray | None = None,
    nuclei: np.ndarray | None = None,
    probability: np.ndarray | None = None,
    settings: QualitySettings | None = None,
) -> FrameQuality:
    """Judge a phantom as if the network had found its truth, with parts replaced."""
    shown = taken.pixels if pixels is None else pixels
    found = taken.cells if cells is None else cells
    return assess(
        Frame(shown, taken.pixel_size_um),
        normalize(shown, taken.pixel_size_um),
        read(found, taken.nuclei if nuclei is None else nuclei, probability),
        taken.pixel_size_um,
        settings or QualitySettings(),
    )


def saturated(taken: Phantom, share: float) -> np.ndarray:
    pixels = taken.pixels.copy()
    pixels[: round(share * len(pixels))] = 65535
    return pixels


def test_a_good_frame_passes() -> None:
    quality = judged(phantom(3))
    assert quality.passes
    assert quality.reason is None
    assert quality.confluency == pytest.approx(float((phantom(3).cells > 0).mean()))
    assert quality.saturated_fraction == 0.0
    assert quality.doubt < 0.1
    assert quality.focus > 0.5
    assert quality.illumination < 0.2


def test_a_saturated_frame_fails() -> None:
    quality = judged(phantom(3), pixels=saturated(phantom(3), 0.3))
    assert (quality.passes, quality.reason) == (False, "saturated")
    assert quality.saturated_fraction == pytest.approx(0.3, abs=0.01)
    assert judged(phantom(3), pixels=saturated(phantom(3), 0.1)).reason is None


def test_a_frame_that_the_network_does_not_understand_fails() -> None:
    quality = judged(phantom(3), probability=np.full(phantom(3).cells.shape, 0.5, np.float32))
    assert (quality.passes, quality.reason) == (False, "not_understood")
    assert quality.doubt > 0.6


def test_a_frame_without_cells_fails() -> None:
    quality = judged(simulate_frame(3, spec=replace(phantom(3).spec, cells=(), debris=Debris(0, 0))))
    assert (quality.passes, quality.reason) == (False, "empty")
    assert quality.confluency == 0.0


def test_a_frame_out_of_focus_fails() -> None:
    blurred = ndimage.gaussian_filter(phantom(3).pixels.astype(np.float32), 8.0)
    quality = judged(phantom(3), pixels=blurred)
    assert (quality.passes, quality.reason) == (False, "out_of_focus")
    assert quality.focus < QualitySettings().min_focus


def test_a_constant_frame_is_empty_and_finite() -> None:
    dark = phantom(3)
    quality = judged(dark, pixels=np.full_like(dark.pixels, 700), cells=np.zeros_like(dark.cells))
    assert quality.reason == "empty"
    assert (quality.focus, quality.illumination) == (0.0, 0.0)


def test_a_frame_full_of_floating_debris_fails() -> None:
    floating = replace(phantom(3).spec, debris=Debris(60, 600))
    covered = simulate_frame(3, spec=floating)
    few, many = judged(phantom(3)), judged(covered)
    assert few.debris_fraction < 0.01 < 0.05 < many.debris_fraction
    limit = QualitySettings(max_debris=0.5 * many.debris_fraction)
    assert judged(covered, settings=limit).reason == "debris"
    assert judged(phantom(3), settings=limit).passes


def test_a_frame_whose_cells_were_merged_fails() -> None:
    taken = phantom(3, 0.5)
    rows, columns = taken.cells.shape
    y, x = np.mgrid[:rows, :columns]
    blocks = (y // (rows // 4) * 4 + x // (columns // 4) + 1).astype(np.int32)
    quality = judged(taken, cells=blocks, nuclei=taken.nuclei)
    assert (quality.passes, quality.reason) == (False, "merged")
    assert quality.merged_fraction > 0.4
    assert judged(taken).merged_fraction < 0.1
    assert judged(taken, cells=np.minimum(blocks, 9), nuclei=taken.nuclei).reason is None  # too few to judge


def test_cells_at_the_border_are_counted() -> None:
    taken = phantom(3)
    edge = np.unique(np.concatenate([taken.cells[0], taken.cells[-1], taken.cells[:, 0], taken.cells[:, -1]]))
    assert judged(taken).cut_fraction == pytest.approx((edge > 0).sum() / taken.cells.max())


def test_the_cause_that_explains_the_others_is_named() -> None:
    taken = phantom(3)
    undecided = np.full(taken.cells.shape, 0.5, np.float32)
    nothing = np.zeros_like(taken.cells)
    assert judged(taken, pixels=saturated(taken, 0.9), probability=undecided, cells=nothing).reason == "saturated"
    assert judged(taken, probability=undecided, cells=nothing).reason == "not_understood"
    blurred = ndimage.gaussian_filter(taken.pixels.astype(np.float32), 8.0)
    assert judged(taken, pixels=blurred, probability=undecided).reason == "out_of_focus"


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"min_focus": 9.0}, "out_of_focus"), ({"max_doubt": 0.01}, "not_understood"), ({}, None)],
)
def test_limits_are_settings(limits: dict[str, float], reason: str | None) -> None:
    assert judged(phantom(3), settings=QualitySettings(**limits)).reason == reason


@pytest.mark.parametrize("covered", [0.1, 0.6])
def test_focus_falls_with_defocus(covered: float) -> None:
    found = []
    for defocus_um in (0.0, 2.0, 5.0, 14.0):
        taken = phantom(4, covered, optics=Optics(defocus_um=defocus_um))
        found.append(focus_of(normalize(taken.pixels, PIXEL_SIZE_UM), taken.cells, PIXEL_SIZE_UM))
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.3 * found[0]


def test_focus_hardly_depends_on_crowding_light_and_noise() -> None:
    def focus(covered: float, optics: Optics) -> float:
        taken = phantom(4, covered, optics=optics)
        return focus_of(normalize(taken.pixels, PIXEL_SIZE_UM), taken.cells, PIXEL_SIZE_UM)

    usual = Optics()
    reference = focus(0.3, usual)
    assert focus(0.08, usual) == pytest.approx(reference, rel=0.15)
    assert focus(0.7, usual) == pytest.approx(reference, rel=0.15)
    assert focus(0.3, replace(usual, unevenness=0.4)) == pytest.approx(reference, rel=0.15)
    assert focus(0.3, replace(usual, photons=3000.0)) == pytest.approx(reference, rel=0.15)


def test_focus_of_nothing_is_zero() -> None:
    nothing = np.zeros((64, 64), np.float32)
    assert focus_of(nothing, nothing.astype(np.int32), 1.0) == 0.0


@pytest.mark.parametrize(("probability", "doubt"), [(0.0, 0.0), (0.05, 0.0), (0.5, 1.0), (0.9, 0.36), (1.0, 0.0)])
def test_doubt_of_one_probability_without_cells(probability: float, doubt: float) -> None:
    nothing = np.zeros((8, 8), np.int32)
    flat = np.full((8, 8), probability, np.float32)
    assert doubt_of(Decoded(flat, flat, flat, nothing, nothing, nothing)) == pytest.approx(doubt, abs=1e-6)


def test_a_few_doubtful_pixels_on_an_empty_frame_are_no_doubt() -> None:
    nothing, small = np.zeros((100, 100), np.int32), np.zeros((100, 100), np.float32)
    small[:5, :5] = 0.5
    assert doubt_of(Decoded(small, small, small, nothing, nothing, nothing)) == 0.0
    small[:20, :20] = 0.5
    assert doubt_of(Decoded(small, small, small, nothing, nothing, nothing)) == 1.0


@pytest.mark.parametrize(
    ("part", "value", "more"), [("cell", 0.5, 0.3), ("centre", 0.35, 0.2), ("boundary", 0.05, 0.3)]
)
def test_each_kind_of_indecision_adds_to_the_doubt(part: str, value: float, more: float) -> None:
    sure = read(phantom(3).cells)
    inside = phantom(3).cells > 0
    weak = replace(sure, **{part: np.where(inside, value, getattr(sure, part)).astype(np.float32)})
    assert doubt_of(sure) < 0.1
    assert doubt_of(weak) == pytest.approx(doubt_of(sure) + more, abs=0.05)


def test_outlines_are_the_rims_of_cells_also_against_each_other() -> None:
    cells = np.zeros((9, 12), np.int32)
    cells[2:7, 0:4], cells[2:7, 4:8] = 1, 2
    rim = outlines(cells)
    assert rim[4, 3] and rim[4, 4] and rim[2, 1] and rim[6, 5] and rim[4, 7]
    assert not rim[4, 0] and not rim[4, 1] and not rim[4, 8]
    assert outlines(np.ones((5, 5), np.int32)).all()


def test_something_that_stands_out_and_is_no_cell_is_not_understood() -> None:
    taken = phantom(3, 0.5)
    assert judged(taken, cells=np.zeros_like(taken.cells)).reason == "not_understood"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2"])
def test_saturation_counts_both_ends_of_the_camera(dtype: str) -> None:
    pixels = np.full((10, 10), 100, dtype)
    pixels[0] = np.iinfo(dtype).max
    pixels[1, :5] = 0
    assert saturated_fraction(pixels) == 0.15


def test_float_frames_have_no_end() -> None:
    assert saturated_fraction(np.zeros((4, 4), np.float32)) == 0.0


def test_unevenness_is_the_spread_of_the_light() -> None:
    ramp = np.linspace(900.0, 1100.0, 512)[None, :] * np.ones((512, 1))
    assert unevenness(np.full((512, 512), 1000, np.uint16), 1.0) == 0.0
    # the running mean flattens the ends of the ramp a little
    assert 0.15 < unevenness(ramp.astype(np.uint16), 1.0) < 0.2
    assert unevenness(3.0 * ramp, 1.0) == pytest.approx(unevenness(ramp, 1.0), rel=1e-3)
    assert unevenness(ramp - 1000.0, 1.0) == 0.0 or unevenness(ramp - 1001.0, 1.0) == 0.0


@pytest.mark.parametrize("factor", [2, 4])
def test_light_does_not_depend_on_the_size_of_a_pixel(factor: int) -> None:
    """Cells must not pass for uneven light where a frame is finer than the network's scale."""
    fine = phantom(5, 0.5, pixel_size_um=1.0 / factor, shape_px=(256 * factor, 256 * factor))
    coarse = fine.pixels.reshape(256, factor, 256, factor).mean((1, 3))
    cells = fine.cells[::factor, ::factor]
    normalized = normalize(coarse, 1.0)
    settings = QualitySettings()
    found = [
        assess(frame, normalized, read(cells), 1.0, settings).illumination
        for frame in (Frame(fine.pixels, 1.0 / factor), Frame(coarse, 1.0))
    ]
    assert found[0] == pytest.approx(found[1], rel=0.1)


def test_what_was_outlined_and_not_believed_is_doubted_all_the_same() -> None:
    taken = phantom(2, covered=0.4)
    vague = np.where(taken.cells > 0, 0.55, 0.02).astype(np.float32)
    decoded = read(taken.cells, cell=vague)
    unbelieved = replace(decoded, cells=np.zeros_like(taken.cells), nuclei=np.zeros_like(taken.cells))
    assert doubt_of(decoded) > 0.5
    assert doubt_of(unbelieved) == doubt_of(decoded)
    frame, normal = Frame(taken.pixels, taken.pixel_size_um), normalize(taken.pixels, taken.pixel_size_um)
    found = assess(frame, normal, unbelieved, taken.pixel_size_um, QualitySettings())
    assert found.reason == "not_understood"
    assert found.confluency == 0.0
