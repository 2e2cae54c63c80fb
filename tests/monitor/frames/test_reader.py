"""Frames from files: what is read, why the rest is refused, and that nothing else can happen."""

import functools
import io
import itertools
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import imagecodecs
import numpy as np
import pytest
import tifffile
from cases.bad_files import (
    BAD_FILES,
    HOSTILE_NAME,
    PER_CM,
    SHAPE_PX,
    TEXT,
    deflated,
    described,
    good_bytes,
    good_frame,
    grey_fields,
    ome_xml,
    picture,
    png_20000_squared,
    png_chunk,
    raw_tiff,
    save,
    tile_fields,
    transparent_png,
    truncated_png,
)
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from monitor.errors import CellvigilError, FrameNotReady, FrameRejected
from monitor.frames.frame import Frame
from monitor.frames.reader import FrameHeader, ReadLimits, probe, read_frame

NOT_READY = {"zero_bytes", "header_only", "truncated", "half_zero", "unreadable"}
"""Reasons that may pass by themselves; a file with any other never becomes a frame."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "watched"
    (root / "A" / "p1").mkdir(parents=True)
    return root


@pytest.fixture
def path(root: Path) -> Path:
    return root / "A" / "p1" / "20260310T120000Z.tif"


def header_of(path: Path, limits: ReadLimits | None = None) -> FrameHeader:
    return probe(path, root=path.parents[2], limits=limits or ReadLimits())


def read(path: Path, limits: ReadLimits | None = None, pixel_size_um: float | None = 1.0) -> Frame:
    return read_frame(path, root=path.parents[2], pixel_size_um=pixel_size_um, limits=limits or ReadLimits())


def refusal(path: Path, limits: ReadLimits | None = None, pixel_size_um: float | None = 1.0) -> CellvigilError:
    with pytest.raises((FrameNotReady, FrameRejected)) as refused:
        read(path, limits, pixel_size_um)
    assert path.name in str(refused.value) or path.name in ascii(str(refused.value))
    return refused.value


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "packbits", "lzma"])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 10}, {"tile": (32, 48)}], ids=["strip", "strips", "tiles"])
def test_grey_tiff_is_read_to_the_last_bit(
    path: Path, dtype: str, compression: str | None, layout: dict[str, int | tuple[int, int]]
) -> None:
    tifffile.imwrite(path, picture(3, dtype), compression=compression, metadata=None, **layout)  # type: ignore[arg-type]

    frame = read(path)

    assert frame.pixels.dtype == dtype and frame.pixels.dtype.isnative
    assert (frame.pixels == picture(3, dtype)).all()
    assert frame.pixel_size_um == 1.0


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_either_byte_order_and_size_of_offsets(
    path: Path, byteorder: str, bigtiff: bool, compression: str | None
) -> None:
    tifffile.imwrite(
        path,
        picture(),
        byteorder=byteorder,  # type: ignore[arg-type]
        bigtiff=bigtiff,
        compression=compression,
        metadata=None,
        predictor=compression is not None,
    )

    assert header_of(path).shape_px == SHAPE_PX
    assert header_of(path).dtype == "uint16"
    assert header_of(path).declared_bytes == 2 * SHAPE_PX[0] * SHAPE_PX[1]
    assert (read(path).pixels == picture()).all()
    assert read(path).pixels.dtype.isnative


def test_tiff_whose_white_is_zero_is_turned_over(path: Path) -> None:
    tifffile.imwrite(path, picture(), metadata=None, photometric="miniswhite")
    assert (read(path).pixels == ~picture()).all()


def sevenths() -> NDArray[np.float64]:
    return picture().astype(np.float64) / 7.0


def test_double_precision_is_read_as_single(path: Path) -> None:
    tifffile.imwrite(path, sevenths(), metadata=None)

    assert header_of(path).dtype == "float32"
    assert (read(path).pixels == sevenths().astype(np.float32)).all()


def test_white_at_zero_is_turned_over(path: Path) -> None:
    tifffile.imwrite(path, picture(dtype=np.uint8), photometric="miniswhite", metadata=None)

    assert (read(path).pixels == 255 - picture(dtype=np.uint8)).all()


def test_thumbnail_beside_the_frame_is_passed_over(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(picture(9, np.uint8)[:70, :70], subfiletype=1, metadata=None)
        writer.write(picture(), metadata=None)

    assert (read(path).pixels == picture()).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_grey_png_is_read_with_its_size(path: Path, dtype: str) -> None:
    path = path.with_suffix(".PNG")
    Image.fromarray(picture(4, dtype)).save(path, dpi=(PER_CM * 2.54, PER_CM * 2.54))

    frame = read(path, pixel_size_um=None)

    assert frame.pixels.dtype == dtype
    assert (frame.pixels == picture(4, dtype)).all()
    assert frame.pixel_size_um == pytest.approx(0.87, rel=1e-3)


def test_ome_tiff_says_size_and_time(path: Path) -> None:
    tifffile.imwrite(
        path,
        picture(),
        ome=True,
        metadata={
            "axes": "YX",
            "PhysicalSizeX": 650.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 650.0,
            "PhysicalSizeYUnit": "nm",
            "AcquisitionDate": "2026-03-10T14:00:00+02:00",
        },
    )

    header = header_of(path)

    assert header.pixel_size_um == pytest.approx(0.65)
    assert header.acquired_at == datetime(2026, 3, 10, 12, tzinfo=UTC)


def test_ome_plane_adds_its_delay_to_the_start(path: Path) -> None:
    plane = '<Plane TheZ="0" TheT="0" TheC="0" DeltaT="90" DeltaTUnit="min"/>'
    described(path, ome_xml(plane, date="2026-03-10T12:00:00"))

    assert header_of(path).acquired_at == datetime(2026, 3, 10, 13, 30, tzinfo=UTC)


def test_ome_naming_files_within_the_root_is_read(path: Path) -> None:
    inner = '<TiffData><UUID FileName="../p2/b.ome.tif">urn:uuid:1</UUID></TiffData>'
    described(path, ome_xml(inner))

    assert read(path, pixel_size_um=None).pixel_size_um == 0.5


@pytest.mark.parametrize(
    "inner",
    [
        '<TiffData><UUID FileName="/etc/passwd">u</UUID></TiffData>',
        '<TiffData><UUID FileName="C:\\secret.tif">u</UUID></TiffData>',
        '<TiffData><UUID FileName="..\\..\\..\\secret.tif">u</UUID></TiffData>',
        '<BinaryOnly MetadataFile="../../../companion.ome"/>',
    ],
)
def test_ome_pointing_out_of_the_root_is_refused(path: Path, inner: str) -> None:
    described(path, ome_xml(inner))

    assert refusal(path).reason == "outside_root"


@pytest.mark.parametrize("text", ["<OME", "<OME><Pixels SizeT='x' PhysicalSizeX='y'/></OME>", "<a>" * 20_000, "\x01<"])
def test_ome_that_makes_no_sense_counts_as_none(path: Path, text: str) -> None:
    described(path, text)

    assert header_of(path).acquired_at is None
    assert (read(path).pixels == picture()).all()


def test_imagej_tiff_says_its_size_in_its_unit(path: Path) -> None:
    tifffile.imwrite(path, picture(), imagej=True, resolution=(1 / 0.4, 1 / 0.4), metadata={"unit": "um"})

    assert read(path, pixel_size_um=None).pixel_size_um == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026:03:10 12:00:00", datetime(2026, 3, 10, 12, tzinfo=UTC)),
        ("2026-03-10T12:00:00-02:00", datetime(2026, 3, 10, 14, tzinfo=UTC)),
        ("on Tuesday", None),
        ("0001-01-01T00:00:00+05:00", None),
        ("9999-12-31T23:59:59-05:00", None),
    ],
)
def test_time_of_the_date_tag(path: Path, text: str, moment: datetime | None) -> None:
    tifffile.imwrite(path, picture(), metadata=None, extratags=[(306, 2, 0, text, True)])

    assert header_of(path).acquired_at == moment


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file_is_refused_with_its_reason(path: Path, kind: str) -> None:
    write, reason = BAD_FILES[kind]
    write(path)

    error = refusal(path)

    assert error.reason == reason
    assert error.retryable == (reason in NOT_READY)


def other(write: Callable[[Path], object], reason: str, name: str = "20260310T120000Z.tif") -> tuple[object, ...]:
    return write, reason, name


def lines_instead_of_rows(path: Path) -> None:
    tifffile.imwrite(path, np.stack([picture()[n : n + 1] for n in range(8)]), metadata=None)


def strips_never_written(path: Path) -> None:
    strip = zlib.compress(bytes(range(256)) * 8)
    fields = grey_fields((64, 64), compression=8) | {278: (4, [32]), 273: (4, [8, 0]), 279: (4, [len(strip), 0])}
    path.write_bytes(raw_tiff(fields, strip))


def jpeg_file(path: Path) -> None:
    with path.open("wb") as stream:
        Image.fromarray(picture(dtype=np.uint8)).save(stream, "JPEG")


@pytest.mark.parametrize(
    ("write", "reason", "name"),
    [
        other(truncated_png, "truncated", "a.png"),
        other(transparent_png, "rgb", "a.png"),
        other(png_20000_squared, "too_large", "a.png"),
        other(lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "header_only", "a.png"),
        other(lambda path: Image.new("1", (80, 80)).save(path), "wrong_dtype", "a.png"),
        other(jpeg_file, "not_an_image"),
        other(good_frame, "wrong_extension", "a.png"),
        other(lambda path: path.mkdir(), "not_an_image"),
        other(lambda path: path.write_bytes(bytes(5000)), "header_only"),
        other(lambda path: path.write_bytes(b"II"), "header_only"),
        other(lambda path: path.write_bytes(good_bytes()[:8]), "header_only"),
        other(lambda path: path.write_bytes(b"II+\0\x08\0\0\0\0\0"), "header_only"),
        other(lines_instead_of_rows, "wrong_axes"),
        other(strips_never_written, "half_zero"),
        other(lambda path: tifffile.imwrite(path, np.zeros((80, 80), np.uint16), metadata=None), "constant"),
    ],
)
def test_other_refusals(path: Path, write: Callable[[Path], object], reason: str, name: str) -> None:
    path = path.with_name(name)
    write(path)

    assert refusal(path).reason == reason


def test_sidecar_without_a_usable_size_is_named(path: Path) -> None:
    good_frame(path)
    path.with_suffix(".json").write_text('{"pixel_size_um": -1}')

    with pytest.raises(FrameRejected, match=rf"{path.stem}\.json gives the pixel size -1") as refused:
        read(path)
    assert refused.value.reason == "bad_pixel_size"


def test_missing_pixel_size_says_where_to_write_it(path: Path) -> None:
    tifffile.imwrite(path, picture(), metadata=None)

    error = refusal(path, pixel_size_um=None)

    assert error.reason == "no_pixel_size"
    assert "--pixel-size" in str(error) and "cellvigil.json" in str(error)


def test_file_that_may_not_be_read_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good_frame(path)
    really_open = os.open

    def refused(name: str, flags: int, *, dir_fd: int | None = None) -> int:
        if name == path.name:
            raise PermissionError(13, "Permission denied", name)
        return really_open(name, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refused)

    error = refusal(path)

    assert error.reason == "unreadable" and error.retryable


def test_file_outside_the_root_is_not_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = root.parent / "secret.tif"
    good_frame(outside)

    def opened(*_: object, **__: object) -> NoReturn:
        pytest.fail("something was opened")

    monkeypatch.setattr(os, "open", opened)
    for path in (outside, root / ".." / "secret.tif", root):
        with pytest.raises(FrameRejected) as refused:
            read_frame(path, root=root, pixel_size_um=1.0, limits=ReadLimits())
        assert refused.value.reason == "outside_root"


def test_folder_that_is_a_link_is_not_followed(root: Path) -> None:
    away = root.parent / "away" / "p1"
    away.mkdir(parents=True)
    good_frame(away / "20260310T120000Z.tif")
    (root / "B").symlink_to(away.parent)

    assert refusal(root / "B" / "p1" / "20260310T120000Z.tif").reason == "symlink"


def test_root_itself_may_be_reached_by_a_link(root: Path, path: Path) -> None:
    good_frame(path)
    (root.parent / "link").symlink_to(root)
    through = root.parent / "link" / path.relative_to(root)

    assert (read_frame(through, root=root, pixel_size_um=1.0, limits=ReadLimits()).pixels == picture()).all()
    assert (read_frame(through, root=root.parent / "link", pixel_size_um=1.0, limits=ReadLimits()).pixels).any()


def test_file_that_is_gone_is_told_as_such(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(path)


def test_refusing_leaves_no_file_open(path: Path) -> None:
    path.mkdir()
    (path.parent / "cut.tif").write_bytes(good_bytes()[:300])
    refusal(path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        refusal(path)
        refusal(path.parent / "cut.tif")

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_hostile_name_is_named_and_read(root: Path) -> None:
    path = root / HOSTILE_NAME / "p1" / "20260310T120000Z.tif"
    path.parent.mkdir(parents=True)
    good_frame(path)

    assert (read(path).pixels == picture()).all()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (ReadLimits(max_bytes=2 * 96 * 80 - 1), "too_large"),
        (ReadLimits(max_side_px=95), "too_large"),
        (ReadLimits(min_side_px=81), "too_small"),
    ],
)
def test_limits_are_the_callers(path: Path, limits: ReadLimits, reason: str) -> None:
    good_frame(path)
    exact = ReadLimits(max_bytes=2 * 96 * 80, max_side_px=96, min_side_px=80)

    assert read(path, exact).shape == SHAPE_PX
    assert refusal(path, limits).reason == reason


def test_file_far_larger_than_any_frame_is_refused_unread(path: Path) -> None:
    good_frame(path)
    os.truncate(path, 2 * 1024**3)

    assert refusal(path).reason == "too_large"


MEGABYTES = 32
CODECS: dict[str, int] = {
    "deflate": 8,
    "deflate, the old number": 32946,
    "lzw": 5,
    "packbits": 32773,
    "lzma": 34925,
    "zstd": 50000,
    "jpeg": 7,
    "jpeg 2000": 34712,
    "jpeg xl": 50002,
}


@functools.cache
def bomb(number: int) -> bytes:
    """Return 32 MB of pixels in one compressed part."""
    square = np.zeros((5800, 5800), np.uint8)
    pattern = bytes(range(256)) * 4096 * MEGABYTES
    match number:
        case 5:
            return bytes(imagecodecs.lzw_encode(pattern))
        case 32773:
            return b"\x81\x07" * (len(pattern) // 128)  # the value 7, 128 times, over and over
        case 34925:
            return bytes(imagecodecs.lzma_encode(pattern, level=1))
        case 50000:
            return bytes(imagecodecs.zstd_encode(pattern))
        case 7:
            return bytes(imagecodecs.jpeg8_encode(square))
        case 34712:
            return bytes(imagecodecs.jpeg2k_encode(square, level=0))
        case 50002:
            return bytes(imagecodecs.jpegxl_encode(square))
    return deflated(MEGABYTES)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("tiled", [False, True])
def test_compressed_part_never_becomes_more_than_was_declared(path: Path, codec: str, tiled: bool) -> None:
    number, body = CODECS[codec], bomb(CODECS[codec])
    fields = tile_fields((64, 64), len(body)) if tiled else grey_fields((64, 64), stored=len(body))
    path.write_bytes(raw_tiff(fields | {259: (3, [number])}, body))
    tracemalloc.start()
    try:
        # some decoders stop at the declared size, and what they have by then is a frame; others complain
        outcome = "frame"
        try:
            assert read(path).shape == (64, 64)
        except (FrameNotReady, FrameRejected) as error:
            outcome = error.reason
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert outcome in {"frame", "truncated", "constant", "unsupported_compression"}
    assert peak < len(body) * 3 + 2_000_000


def test_second_header_of_a_png_is_not_believed(path: Path) -> None:
    path = path.with_suffix(".png")
    heads = [struct.pack(">LLBBBBB", side, side, 8, 0, 0, 0, 0) for side in (64, 12_000)]
    pixels = zlib.compress(bytes(12_001 * 12_000))
    chunks = [png_chunk(b"IHDR", head) for head in heads] + [png_chunk(b"IDAT", pixels), png_chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))

    assert refusal(path).reason == "header_only"


def test_text_in_a_png_is_not_unpacked_without_limit(path: Path) -> None:
    path = path.with_suffix(".png")
    text = PngImagePlugin.PngInfo()
    text.add_text("notes", "x" * 60_000_000, zip=True)
    Image.fromarray(picture(dtype=np.uint8)).save(path, pnginfo=text)

    assert refusal(path).reason == "truncated"


@pytest.mark.parametrize(("copies", "reason"), [(2, "many_planes"), (9, "truncated")])
def test_directories_that_share_their_text_are_not_read_over_and_over(path: Path, copies: int, reason: str) -> None:
    fields = grey_fields((64, 64), stored=4096) | {270: (TEXT, b"x" * 30_000_000)}
    first = 8 + 4096
    length = 2 + 12 * len(fields) + 4
    end = len(raw_tiff(fields, bytes(4096)))
    whole = raw_tiff(fields, bytes(range(256)) * 16, following=end)
    directory = whole[first : first + length - 4]
    links = [end + length * number for number in range(1, copies)] + [0]
    path.write_bytes(whole + b"".join(directory + struct.pack("<L", link) for link in links))

    assert refusal(path).reason == reason


def test_directories_in_a_ring_come_to_an_end(path: Path) -> None:
    body = bytes(range(256)) * 16
    path.write_bytes(raw_tiff(grey_fields((64, 64), stored=4096), body, following=8 + len(body)))

    error = refusal(path)

    assert error.reason == "truncated" and "point at each other" in str(error)


def test_strips_that_lie_on_each_other_are_refused(path: Path) -> None:
    body = zlib.compress(picture(shape_px=(64, 64), dtype=np.uint8).tobytes()) + bytes(100_000)
    fields = grey_fields((64, 64), compression=8)
    fields |= {278: (4, [1]), 273: (4, [8] * 64), 279: (4, [len(body)] * 64)}
    path.write_bytes(raw_tiff(fields, body))

    assert refusal(path).reason == "truncated"


def test_size_beyond_every_number_is_refused(path: Path) -> None:
    path.write_bytes(raw_tiff(grey_fields((2**32 - 1, 2**32 - 1), bits=16), bytes(100)))
    assert refusal(path).reason == "too_large"

    big = grey_fields((64, 64), stored=2**62, start=16) | {256: (16, [2**64 - 1]), 279: (16, [2**63])}
    path.write_bytes(raw_tiff(big, bytes(4096), big=True))
    assert refusal(path).reason == "truncated"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_one_strip_without_its_length_is_read(path: Path, order: str, big: bool) -> None:
    pixels = picture(shape_px=(64, 64), dtype=np.uint8)
    fields = grey_fields((64, 64), start=16 if big else 8)
    path.write_bytes(raw_tiff(fields, pixels.tobytes(), order=order, big=big))  # type: ignore[arg-type]

    assert header_of(path).shape_px == (64, 64)
    assert (read(path).pixels == pixels).all()


@pytest.mark.parametrize(
    "description",
    [
        '{"shape":' + "[" * 9000,
        '{"shape": [1e999, NaN]}',
        '{"shape": {"a": 1}}',
        '{"shape": null}',
        "ImageJ=1\nimages=",
        "ImageJ=1\nunit=" + "x" * 5000,
        "\ufeff  ",
    ],
)
def test_strange_description_does_no_harm(path: Path, description: str) -> None:
    described(path, description)

    assert (read(path).pixels == picture()).all()


@pytest.mark.parametrize(("description", "count"), [("ImageJ=1.11a\nimages=300\n", 300), ('{"shape": [7, 96, 80]}', 7)])
def test_stack_that_only_its_description_tells_of_is_refused(path: Path, description: str, count: int) -> None:
    described(path, description)

    error = refusal(path)

    assert error.reason == "many_planes" and f"holds {count} planes" in str(error)


def templates() -> list[tuple[str, bytes]]:
    def tiff(**options: object) -> bytes:
        stream = io.BytesIO()
        tifffile.imwrite(stream, picture(5, np.uint8), **options)  # type: ignore[arg-type]
        return stream.getvalue()

    png = io.BytesIO()
    Image.fromarray(picture(5, np.uint16)).save(png, "PNG", dpi=(300, 300))
    stack = io.BytesIO()
    save(stack, np.stack([picture(n) for n in range(4)]))
    return [
        ("a.tif", tiff(metadata=None)),
        ("a.tif", tiff(compression="zlib", predictor=True, rowsperstrip=16, metadata=None)),
        ("a.tif", tiff(compression="lzw", tile=(32, 32), byteorder=">", metadata=None)),
        ("a.tif", tiff(compression="zstd", bigtiff=True, ome=True)),
        ("a.tif", tiff(imagej=True, resolution=(2.5, 2.5))),
        ("a.tif", tiff(compression="packbits", description=ome_xml(date="2026-03-10T12:00:00"), metadata=None)),
        ("a.tif", stack.getvalue()),
        ("a.png", png.getvalue()),
    ]


def damaged(random: np.random.Generator, whole: bytes) -> bytes:
    """Return a file with some bytes exchanged, near its head most often, and some of it cut off or out or doubled."""
    found = bytearray(whole)
    for _ in range(random.integers(1, 12)):
        reach = len(found) if random.random() < 0.3 else min(len(found), 420)
        value = random.choice(np.array([0, 1, 2, 3, 4, 16, 127, 128, 255, int(random.integers(256))]))
        found[int(random.integers(reach))] = int(value)
    first, last = sorted(int(place) for place in random.integers(0, len(found), 2))
    match random.integers(6):
        case 0:
            del found[first:]
        case 1:
            del found[first:last]
        case 2:
            found[first:last] = bytes(last - first)
        case 3:
            found[first:first] = found[first:last]
    return bytes(found)


def mutants(count: int) -> Iterator[tuple[str, bytes]]:
    random = np.random.default_rng(20260310)
    for name, whole in itertools.islice(itertools.cycle(templates()), count):
        yield name, damaged(random, whole)


def test_damaged_files_give_a_frame_or_a_named_refusal_and_nothing_else(root: Path) -> None:
    outcomes: dict[str, int] = {}
    for name, content in mutants(600):
        path = root / "A" / "p1" / name
        path.write_bytes(content)
        try:
            frame = read(path)
            assert frame.pixels.ndim == 2 and min(frame.shape) >= 64 and frame.pixel_size_um > 0
            outcome = "frame"
        except (FrameNotReady, FrameRejected) as error:
            assert isinstance(error, FrameNotReady) == (error.reason in NOT_READY) or error.reason == "constant"
            outcome = error.reason
        outcomes[outcome] = outcomes.get(outcome, 0) + 1

    assert outcomes["frame"] > 50 and outcomes["truncated"] > 100
    assert len(outcomes) >= 8
