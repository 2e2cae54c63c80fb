from pathlib import Path

import numpy as np
import pytest
import tifffile
from cases.phantoms import matched_f1, phantom
from cases.stains import cytoplasm_dye, nuclear_stain
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from monitor.errors import FrameRejected
from monitor.training.stain import (
    Registration,
    correlation,
    dyed_cells,
    moved,
    read_stain_pairs,
    register,
    stained_nuclei,
)

NEURONS = Path(__file__).parents[4] / "shared" / "data" / "transmitted_with_nuclear_stain"


def virtual(number: int) -> NDArray[np.float32]:
    """What a good network would make of a phantom: its nuclei, softly."""
    return ndimage.gaussian_filter((phantom(number, covered=0.35).nuclei > 0).astype(np.float32), 1.5)


@pytest.mark.parametrize("shift", [(0, 0), (7, -12), (-25, 4), (3, 26)])
def test_a_shifted_stain_is_registered_to_the_pixel(shift: tuple[int, int]) -> None:
    truth = phantom(2, covered=0.35)
    stain = nuclear_stain(truth, shift=shift)
    found = register(truth.pixels, stain, truth.pixel_size_um, [virtual(2)])
    assert abs(found.rows_px - shift[0]) <= 1 and abs(found.columns_px - shift[1]) <= 1
    assert found.score > 10.0


def test_a_stain_of_another_view_is_refused() -> None:
    truth, other = phantom(2, covered=0.35), phantom(3, covered=0.35)
    with pytest.raises(FrameRejected, match="look whether both files show the same view") as refused:
        register(truth.pixels, nuclear_stain(other), truth.pixel_size_um, [virtual(2)])
    assert refused.value.reason == "not_registered"


def test_a_virtual_stain_that_is_wrong_does_no_harm() -> None:
    truth = phantom(2, covered=0.35)
    stain = nuclear_stain(truth, shift=(5, 9))
    nonsense = np.random.default_rng(0).random(truth.pixels.shape, np.float32)
    found = register(truth.pixels, stain, truth.pixel_size_um, [nonsense, np.zeros_like(nonsense), virtual(2)])
    assert (found.rows_px, found.columns_px) == pytest.approx((5, 9), abs=1)


@pytest.mark.skipif(not NEURONS.is_dir(), reason="the shared transmitted-light images are not here")
@pytest.mark.parametrize("plane", ["z02", "z05", "z08"])
def test_real_transmitted_light_is_registered_by_its_contrast_alone(plane: str) -> None:
    pixels, stain = (
        np.asarray(Image.open(NEURONS / f"A4_{name}.png")) for name in (f"{plane}_transmitted", "DAPI_maxproj")
    )
    found = register(pixels, np.roll(stain, (11, -6), (0, 1)), 0.65)
    assert (found.rows_px, found.columns_px) == pytest.approx((11, -6), abs=5)
    with pytest.raises(FrameRejected, match="same view"):
        register(pixels, stain[::-1], 0.65)


@pytest.mark.parametrize("shift", [(0, 0), (4, -9), (-6, 3)])
def test_a_moved_stain_lies_on_the_image_and_says_where_it_does_not(shift: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(100, 4000, (60, 80)).astype(np.uint16)
    stain = np.roll(image, shift, (0, 1))
    found, covered = moved(stain, Registration(*shift, 20.0))
    assert (found[covered] == image[covered]).all()
    assert covered.sum() == (60 - abs(shift[0])) * (80 - abs(shift[1]))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_nuclei_are_read_from_their_stain(number: int) -> None:
    truth = phantom(number, covered=0.35)
    found, decided = stained_nuclei(nuclear_stain(truth).astype(np.float32), truth.pixel_size_um)
    assert matched_f1(truth.nuclei, found) > 0.9
    # what is decided is right, and it is most of the image
    assert ((found > 0) == (truth.nuclei > 0))[decided].mean() > 0.995
    assert decided.mean() > 0.85
    assert decided[found > 0].mean() > 0.5


def test_a_clump_of_nuclei_is_left_undecided() -> None:
    y, x = np.mgrid[:200, :200]
    stain = np.full((200, 200), 300.0, np.float32)
    stain += 2000.0 * (np.hypot(y - 60, x - 60) < 8) + 2000.0 * (np.hypot(y - 140, x - 140) < 30)
    found, decided = stained_nuclei(stain, 1.0)
    assert found.max() == 1 and found[60, 60] == 1
    assert not decided[140, 140]
    assert decided[60, 60] and decided[20, 180]


def test_cells_are_read_from_a_dye_around_their_nuclei() -> None:
    truth = phantom(4, covered=0.3)
    single = np.bincount(truth.cells[ndimage.maximum_filter(truth.nuclei, 1) > 0].ravel()) > 0
    assert single.any()
    nuclei, _ = stained_nuclei(nuclear_stain(truth).astype(np.float32), truth.pixel_size_um)
    cells, known = dyed_cells(cytoplasm_dye(truth).astype(np.float32), "cytoplasm", nuclei, truth.pixel_size_um)
    assert ((cells > 0) == (truth.cells > 0))[known].mean() > 0.97
    assert known.mean() > 0.7
    assert matched_f1(truth.cells, cells) > 0.6


def test_a_membrane_dye_parts_cells_on_its_ridges() -> None:
    dye = np.full((60, 90), 100.0, np.float32)
    dye[10:50, 10:80] = 400.0
    dye[10:50, 50:53] = 3000.0
    nuclei = np.zeros((60, 90), np.int32)
    nuclei[28:33, 18:23], nuclei[28:33, 64:69] = 1, 2
    cells, known = dyed_cells(dye, "membrane", nuclei, 1.0)
    assert (cells[14:46, 14:47] == 1).all() and (cells[14:46, 56:78] == 2).all()
    assert known[30, 30] and known[2, 2]


def test_correlation_is_that_of_the_square_root_within_the_region() -> None:
    random = np.random.default_rng(0)
    virtual_stain = random.random((40, 40), np.float32)
    stain = (50.0 * virtual_stain) ** 2
    everywhere = np.ones((40, 40), bool)
    assert correlation(virtual_stain, stain, everywhere) == pytest.approx(1.0, abs=0.02)
    assert correlation(-virtual_stain, stain, everywhere) == pytest.approx(-1.0, abs=0.02)
    assert np.isnan(correlation(np.zeros_like(virtual_stain), stain, everywhere))
    assert np.isnan(correlation(virtual_stain, stain, ~everywhere))


def test_pairs_are_found_with_their_dyes(tmp_path: Path) -> None:
    for stem in ("b", "b_hoechst", "a", "a_DAPI", "a_membrane", "lonely", "far_dapi"):
        tifffile.imwrite(tmp_path / f"{stem}.tif", np.arange(5120, dtype=np.uint16).reshape(64, 80))
    one, other = read_stain_pairs(tmp_path, 0.5)
    assert (one.name, one.dye_kind, other.name, other.dye, other.dye_kind) == ("a.tif", "membrane", "b.tif", None, "")
    assert one.dye is not None and one.dye.shape == one.nuclear.shape == (64, 80)
    assert one.pixel_size_um == 0.5


def test_what_is_no_pair_is_named(tmp_path: Path) -> None:
    with pytest.raises(FrameRejected, match="as a_dapi"):
        list(read_stain_pairs(tmp_path, 0.5))
    tifffile.imwrite(tmp_path / "a.tif", np.arange(5120, dtype=np.uint16).reshape(64, 80))
    tifffile.imwrite(tmp_path / "a_dapi.tif", np.arange(5120, dtype=np.uint16).reshape(80, 64))
    with pytest.raises(FrameRejected, match=r"a_dapi.tif is \(80, 64\)") as refused:
        list(read_stain_pairs(tmp_path, 0.5))
    assert refused.value.reason == "pair_does_not_fit"
