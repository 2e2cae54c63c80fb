"""Colour images: which grey plane they become, and which are refused."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from cases.bad_files import picture
from PIL import Image

from monitor.errors import FrameRejected
from monitor.frames.colour import grey_of
from monitor.frames.reader import ReadLimits, probe, read_frame


def read(path: Path, limits: ReadLimits | None = None) -> np.ndarray:
    return read_frame(path, root=path.parent, pixel_size_um=1.0, limits=limits or ReadLimits()).pixels


def three(dtype: str = "uint8") -> np.ndarray:
    return np.stack([picture(n, dtype) for n in range(3)], axis=-1)


def luminance(colour: np.ndarray) -> np.ndarray:
    return np.rint(colour.astype(np.float64) @ np.array([0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 10}, {"tile": (32, 48)}, {"compression": "zlib"}])
def test_colour_tiff_becomes_its_luminance(path_tif: Path, dtype: str, planar: str, layout: dict[str, object]) -> None:
    colour = three(dtype)
    stored = colour if planar == "contig" else np.moveaxis(colour, -1, 0)
    tifffile.imwrite(path_tif, stored, photometric="rgb", planarconfig=planar, metadata=None, **layout)  # type: ignore[arg-type]

    grey = read(path_tif)

    assert grey.dtype == dtype and grey.shape == colour.shape[:2]
    # float32 sums of 16-bit counts may round the other way
    assert np.abs(grey.astype(np.int64) - luminance(colour)).max() <= 1
    assert probe(path_tif, root=path_tif.parent, limits=ReadLimits()).declared_bytes == grey.nbytes


def test_colour_png_becomes_its_luminance(tmp_path: Path) -> None:
    Image.fromarray(three()).save(tmp_path / "a.png")

    assert np.abs(read(tmp_path / "a.png").astype(int) - luminance(three())).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("opacity", [False, True])
def test_grey_in_colour_dress_comes_back_bit_for_bit(tmp_path: Path, suffix: str, opacity: bool) -> None:
    channels = [picture(3, np.uint8)] * 3 + [np.full_like(picture(3, np.uint8), 255)] * opacity
    Image.fromarray(np.stack(channels, -1)).save(tmp_path / f"a.{suffix}")

    assert np.array_equal(read(tmp_path / f"a.{suffix}"), picture(3, np.uint8))


def test_a_transparent_picture_is_refused_with_the_mend() -> None:
    pixels = np.full((70, 70, 4), 255, np.uint8)
    pixels[5, 5, 3] = 254

    with pytest.raises(FrameRejected, match=r"a\.png has transparent parts; export") as refused:
        grey_of(pixels, "a.png")
    assert refused.value.reason == "rgb"


def test_palettes_are_refused(tmp_path: Path) -> None:
    Image.fromarray(three()).quantize(16).save(tmp_path / "a.png")
    Image.fromarray(three()).quantize(16).save(tmp_path / "a.tif")

    for name in ("a.png", "a.tif"):
        with pytest.raises(FrameRejected, match="palette") as refused:
            read(tmp_path / name)
        assert refused.value.reason == "rgb"


def test_the_limit_counts_every_channel(tmp_path: Path) -> None:
    Image.fromarray(three()).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", three(), photometric="rgb", metadata=None)
    pixels = three().shape[0] * three().shape[1]

    for name in ("a.png", "a.tif"):
        assert read(tmp_path / name, ReadLimits(max_bytes=3 * pixels)).size == pixels
        with pytest.raises(FrameRejected) as refused:
            read(tmp_path / name, ReadLimits(max_bytes=3 * pixels - 1))
        assert refused.value.reason == "too_large"


def test_a_colour_tiff_that_is_cut_short_may_still_be_being_written(path_tif: Path) -> None:
    tifffile.imwrite(path_tif, three(), photometric="rgb", metadata=None)
    path_tif.write_bytes(path_tif.read_bytes()[: -three().shape[1]])

    with pytest.raises(Exception, match="copy it again") as refused:
        read(path_tif)
    assert getattr(refused.value, "reason", "") == "truncated"


@pytest.fixture
def path_tif(tmp_path: Path) -> Path:
    return tmp_path / "a.tif"
