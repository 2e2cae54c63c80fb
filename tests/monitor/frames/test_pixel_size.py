"""Micrometres per pixel: who says it, who goes first, and what is not believed."""

import dataclasses
import json
from pathlib import Path

import pytest
import tifffile
from cases.bad_files import PIXEL_SIZE_UM, described, good_frame, ome_xml, picture

from monitor.errors import FrameRejected
from monitor.frames.pixel_size import SIDECAR_MOST_BYTES, from_png, from_sidecar, from_tiff, plausible
from monitor.frames.png_structure import PngHeader
from monitor.frames.reader import ReadLimits, read_frame
from monitor.frames.tiff_structure import TiffPlane, read_planes


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    frame = tmp_path / "root" / "A" / "p1" / "20260310T120000Z.tif"
    frame.parent.mkdir(parents=True)
    good_frame(frame)
    return frame


def root_of(frame: Path) -> Path:
    return frame.parents[2]


def size_of(frame: Path, settings_um: float | None = None) -> float:
    return read_frame(frame, root=root_of(frame), pixel_size_um=settings_um, limits=ReadLimits()).pixel_size_um


def plane_of(frame: Path) -> TiffPlane:
    with frame.open("rb") as stream:
        (plane,) = read_planes(stream, frame.name)
    return plane


def say(sidecar: Path, value: object) -> None:
    sidecar.write_text(json.dumps({"pixel_size_um": value}))


def test_nearest_sidecar_goes_before_the_file_and_the_file_before_the_settings(frame: Path) -> None:
    assert size_of(frame, settings_um=3.0) == pytest.approx(PIXEL_SIZE_UM)

    for folder, size in ((root_of(frame), 1.1), (frame.parent.parent, 1.2), (frame.parent, 1.3)):
        say(folder / "cellvigil.json", size)
        assert size_of(frame, settings_um=3.0) == size

    say(frame.with_suffix(".json"), 1.4)
    assert size_of(frame, settings_um=3.0) == 1.4


def test_ome_goes_before_the_resolution(frame: Path) -> None:
    tifffile.imwrite(
        frame, picture(), description=ome_xml().encode(), resolution=(5000, 5000), resolutionunit=3, metadata=None
    )

    assert size_of(frame) == 0.5


def test_sidecar_above_the_root_says_nothing(frame: Path) -> None:
    say(root_of(frame).parent / "cellvigil.json", 1.1)

    assert from_sidecar(frame, root_of(frame)) is None


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"pixel_size": 1}', '"x"', "[" * 5000, "\x00", '{"a": "\udcff"}'])
def test_sidecar_of_somebody_else_is_left_alone(frame: Path, text: str) -> None:
    frame.with_suffix(".json").write_bytes(text.encode("utf-8", "surrogateescape"))
    say(frame.parent / "cellvigil.json", 1.3)

    assert from_sidecar(frame, root_of(frame)) == 1.3


def test_sidecar_that_is_huge_a_link_or_a_folder_is_left_alone(frame: Path) -> None:
    big, link, folder = frame.with_suffix(".json"), frame.parent / "cellvigil.json", frame.parents[1] / "cellvigil.json"
    big.write_text(" " * SIDECAR_MOST_BYTES + '{"pixel_size_um": 1.0}')
    outside = root_of(frame).parent / "secret.json"
    say(outside, 1.3)
    link.symlink_to(outside)
    folder.mkdir()

    assert from_sidecar(frame, root_of(frame)) is None


@pytest.mark.parametrize("value", [0, -1, True, "0.87", None, [1], 1e7, float("inf"), float("nan"), "x" * 100_000])
def test_sidecar_with_a_size_that_is_none_is_refused(frame: Path, value: object) -> None:
    say(frame.with_suffix(".json"), value)

    with pytest.raises(FrameRejected) as refused:
        from_sidecar(frame, root_of(frame))

    assert refused.value.reason == "bad_pixel_size"
    assert frame.with_suffix(".json").name in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("size", "found"),
    [
        (None, None),
        ((0.87, 0.87), 0.87),
        ((0.87, 0.875), 0.87),
        ((352.8, 352.8), None),
        ((0.04, 0.04), None),
        ((0.87, 352.8), None),
        ((float("nan"), 1.0), None),
        ((float("inf"), float("inf")), None),
    ],
)
def test_size_that_no_microscope_has_counts_as_missing(size: tuple[float, float] | None, found: float | None) -> None:
    assert plausible(size, "a.tif") == found


def test_oblong_pixels_are_refused() -> None:
    with pytest.raises(FrameRejected, match=r"a\.tif has pixels of 0\.87 x 0\.9 um") as refused:
        plausible((0.87, 0.90), "a.tif")
    assert refused.value.reason == "pixels_not_square"


@pytest.mark.parametrize(
    ("resolution", "unit", "description", "expected"),
    [
        ((10_000.0, 5_000.0), 3, "", (1.0, 2.0)),
        ((25_400.0, 25_400.0), 2, "", (1.0, 1.0)),
        ((10_000.0, 10_000.0), 1, "", None),
        (None, 3, "", None),
        ((2.0, 2.0), 1, "ImageJ=1.53\nunit=micron\n", (0.5, 0.5)),
        ((2.0, 2.0), 1, "ImageJ=1.53\nunit=\\u00B5m\n", (0.5, 0.5)),
        ((2.0, 2.0), 1, "ImageJ=1.53\nunit=µm\n", (0.5, 0.5)),
        ((0.002, 0.002), 1, "ImageJ=1.53\nunit=nm\n", (0.5, 0.5)),
        ((10_000.0, 10_000.0), 3, "ImageJ=1.53\nunit=pixel\n", (1.0, 1.0)),
        ((2.0, 2.0), 1, "ImageJ=1.53\n", None),
    ],
)
def test_resolution_in_its_unit(
    frame: Path,
    resolution: tuple[float, float] | None,
    unit: int,
    description: str,
    expected: tuple[float, float] | None,
) -> None:
    plane = dataclasses.replace(plane_of(frame), resolution=resolution, resolution_unit=unit, description=description)

    found = from_tiff(plane)

    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"PixelSizeUm": 0.65}', (0.65, 0.65)),
        ('{"PixelSize_um": 1}', (1.0, 1.0)),
        ('{"PixelSizeUm": 0, "PixelSize_um": 0.3}', (0.3, 0.3)),
        ('{"PixelSizeUm": "0.65"}', None),
        ('{"PixelSizeUm": true}', None),
        ('{"PixelSizeUm": 1' + "0" * 400 + "}", None),
        ('{"PixelSizeUm": Infinity}', None),
        ("[" * 5000, None),
        ("{", None),
        ("[0.65]", None),
    ],
)
def test_micro_managers_own_tag(frame: Path, text: str, expected: tuple[float, float] | None) -> None:
    plane = dataclasses.replace(plane_of(frame), resolution=None, micro_manager=text)

    assert from_tiff(plane) == expected


def test_png_says_its_size_per_metre() -> None:
    assert from_png(PngHeader((64, 64), 8, 0, (2.0, 4.0))) == (0.5, 0.25)
    assert from_png(PngHeader((64, 64), 8, 0, None)) is None


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ('PhysicalSizeX="0.65" PhysicalSizeY="0.65"', 0.65),
        ('PhysicalSizeX="650" PhysicalSizeXUnit="nm" PhysicalSizeY="0.00065" PhysicalSizeYUnit="mm"', 0.65),
        ('PhysicalSizeX="0.65"', 0.65),
        ('PhysicalSizeX="0.65" PhysicalSizeXUnit="parsec"', None),
        ('PhysicalSizeX="wide"', None),
        ('PhysicalSizeX="1e999"', None),
        ('PhysicalSizeX="nan" PhysicalSizeY="nan"', None),
        ("", None),
    ],
)
def test_ome_says_its_size_in_its_unit(frame: Path, size: str, expected: float | None) -> None:
    described(frame, ome_xml(size=size))

    if expected is not None:
        assert size_of(frame) == pytest.approx(expected)
    else:
        assert size_of(frame, settings_um=3.0) == 3.0
