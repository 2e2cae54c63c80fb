"""What shows no sample: field stops, scale bars and text are found, filled and empty; a camera's own is not."""

import io

import numpy as np
import pytest
from cases.phantoms import matched_f1, phantom
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from monitor.features.featurizer import measure
from monitor.frames.frame import Frame
from monitor.frames.hidden import beyond_stop, filled, hidden_in, without_hidden
from monitor.frames.marks import burnt_in
from monitor.segmentation.segmenter import Segmentation, Segmenter, load_segmenter
from monitor.synthetic.optics import Optics

SHAPE_PX = (448, 448)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return load_segmenter(threads=2)


def eight_bits(pixels: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    low, high = np.percentile(pixels, (0.1, 99.9))
    stretched: NDArray[np.uint8] = np.clip((pixels - low) / (high - low) * 255.0, 0.0, 255.0).astype(np.uint8)
    return stretched


def picture(seed: int = 3, covered: float = 0.35) -> NDArray[np.uint8]:
    return eight_bits(phantom(seed, covered, shape_px=SHAPE_PX).pixels)


def marked(pixels: NDArray[np.uint8], shade: int, size: int = 20) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    brush, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    rows, columns = pixels.shape
    brush.rectangle([columns - 150, rows - 40, columns - 30, rows - 34], fill=shade)
    brush.text((columns - 140, rows - 95), "100 um", fill=shade, font=font)
    brush.text((10, 10), "MSC P4 day 3", fill=shade, font=font)
    return np.array(image)


def stopped(pixels: NDArray[np.uint16], offset: float = 0.0) -> NDArray[np.uint16]:
    """Darken everything beyond a circle, with a soft edge and the camera's offset."""
    y, x = (np.arange(side) / side - 0.5 for side in pixels.shape)
    beyond = np.hypot(y[:, None] - offset, x[None, :]) - 0.55
    light = 1.0 / (1.0 + np.exp(np.clip(beyond / 0.008, -40.0, 40.0)))
    dark: NDArray[np.uint16] = (pixels * light + 100.0).astype(np.uint16)
    return dark


@pytest.mark.parametrize("shade", [0, 255])
@pytest.mark.parametrize("size", [14, 20, 32])
def test_scale_bar_and_text_are_found_and_little_else(shade: int, size: int) -> None:
    pixels = picture()
    drawn = marked(pixels, shade, size)
    changed = np.abs(drawn.astype(int) - pixels) > 60

    found = hidden_in(drawn)

    assert found is not None and found[changed].mean() > 0.9
    assert (found & ~ndimage.binary_dilation(changed, iterations=5)).mean() < 0.002


def test_marks_survive_jpeg() -> None:
    drawn = marked(picture(), 255)
    stream = io.BytesIO()
    Image.fromarray(drawn).save(stream, "JPEG", quality=80)
    again = np.array(Image.open(stream))

    found = hidden_in(again)

    assert found is not None and found[np.abs(drawn.astype(int) - picture()) > 60].mean() > 0.9


@pytest.mark.parametrize("seed", range(6))
def test_frames_without_marks_hide_nothing_in_8_or_16_bits(seed: int) -> None:
    plain = phantom(seed, 0.1 + 0.14 * seed, shape_px=SHAPE_PX).pixels

    assert hidden_in(plain) is None
    assert hidden_in(eight_bits(plain)) is None
    assert hidden_in(255 - eight_bits(plain)) is None


def test_a_saturated_cell_is_no_mark() -> None:
    pixels = np.full((200, 200), 90.0)
    y, x = np.ogrid[:200, :200]
    for row in range(30, 180, 24):
        pixels += 600.0 * np.exp(-0.5 * ((y - 100) ** 2 / 25.0 + (x - row) ** 2 / 20.0))
    saturated = np.clip(pixels, 0, 255).astype(np.uint8)

    assert (saturated == 255).sum() > 200
    assert burnt_in(saturated) is None


def test_thousands_of_parts_as_large_as_letters_are_no_text() -> None:
    letter = np.zeros((20, 12), np.uint8)
    letter[4:12, 4], letter[11, 4:8] = 255, 255

    assert burnt_in(np.tile(letter, (20, 20))) is not None
    assert burnt_in(np.tile(letter, (40, 40))) is None


@pytest.mark.parametrize("offset", [0.0, 0.15])
@pytest.mark.parametrize("covered", [0.05, 0.5])
def test_what_a_field_stop_keeps_dark_is_found(covered: float, offset: float) -> None:
    dark = stopped(phantom(5, covered, shape_px=SHAPE_PX).pixels, offset=offset)
    y, x = (np.arange(side) / side - 0.5 for side in SHAPE_PX)
    beyond = np.hypot(y[:, None] - offset, x[None, :]) > 0.55

    found = beyond_stop(dark)

    assert found is not None
    assert found[beyond].mean() > 0.95
    assert found[~beyond].mean() < 0.03


def test_uneven_light_is_no_stop() -> None:
    dim = phantom(4, 0.4, optics=Optics(unevenness=0.6), shape_px=SHAPE_PX).pixels

    assert beyond_stop(dim) is None


def test_bright_cells_on_black_are_no_stop() -> None:
    cells = phantom(4, 0.5, shape_px=SHAPE_PX).cells

    assert beyond_stop(np.where(cells > 0, 4000, 30).astype(np.uint16)) is None


@pytest.mark.parametrize("value", [0, 7, 255])
def test_constant_and_floating_point_frames_hide_nothing(value: int) -> None:
    assert hidden_in(np.full((80, 80), value, np.uint8)) is None
    assert hidden_in(np.full((80, 80), value, np.float32)) is None


def test_filling_leaves_what_is_seen_and_continues_it() -> None:
    pixels = picture()
    drawn = marked(pixels, 255)
    hidden = hidden_in(drawn)
    assert hidden is not None

    whole = filled(Frame(drawn, 1.1), hidden)

    assert np.array_equal(whole.pixels[~hidden], drawn[~hidden])
    assert whole.pixels.dtype == drawn.dtype and whole.pixel_size_um == 1.1
    before = np.abs(drawn[hidden].astype(float) - pixels[hidden]).mean()
    assert np.abs(whole.pixels[hidden].astype(float) - pixels[hidden]).mean() < 0.4 * before


def test_cells_mostly_hidden_go_with_their_nuclei_and_the_others_stay() -> None:
    cells = np.array([[1, 1, 2, 2], [1, 1, 2, 2]], np.int32)
    nuclei = np.array([[1, 0, 0, 2], [0, 0, 0, 0]], np.int32)
    hidden = np.array([[False, False, True, True], [False, True, True, False]])

    left, left_nuclei = without_hidden(cells, nuclei, hidden)

    assert left.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]
    assert left_nuclei.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]


def found_in(segmenter: Segmenter, pixels: NDArray[np.unsignedinteger]) -> Segmentation:
    (found,) = segmenter.segment([Frame(pixels, 1.1)])
    assert isinstance(found, Segmentation)
    return found


def test_marks_change_the_other_cells_little_and_are_none(segmenter: Segmenter) -> None:
    pixels = picture(7, 0.25)
    plain, drawn = found_in(segmenter, pixels), found_in(segmenter, marked(pixels, 255))
    bar = np.zeros(SHAPE_PX, bool)
    bar[-40:-33, -150:-29] = True

    assert matched_f1(plain.cells, drawn.cells) > 0.9
    assert (plain.cells[bar] > 0).mean() >= (drawn.cells[bar] > 0).mean() - 0.2
    assert drawn.cells.max() == np.unique(drawn.cells[drawn.cells > 0]).size


def test_confluency_and_density_are_of_what_the_stop_leaves(segmenter: Segmenter) -> None:
    frame = phantom(6, 0.4, shape_px=SHAPE_PX).pixels
    dark = stopped(frame)
    hidden = hidden_in(dark)
    assert hidden is not None
    plain, seen = found_in(segmenter, frame), found_in(segmenter, dark)

    assert (seen.cells[hidden] > 0).mean() < 0.1
    assert abs(seen.quality.confluency - float((plain.cells > 0)[~hidden].mean())) < 0.05
    population = measure(Frame(dark, 1.1), seen.cells, seen.nuclei).population
    assert population["confluency"] == pytest.approx((seen.cells > 0).sum() / (~hidden).sum())
    area_cm2 = float((~hidden).sum()) * 1.1**2 / 1e8
    assert population["cell_density"] == pytest.approx(seen.n_cells / area_cm2)
