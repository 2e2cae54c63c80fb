"""Good frames, and files beside them that are none: one function per kind of trouble, each writes one file.

`BAD_FILES` lists the kinds that any folder may meet, with the reason for which each is refused.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray
from PIL import Image

PIXEL_SIZE_UM = 0.87
PER_CM = 10_000.0 / PIXEL_SIZE_UM
SHAPE_PX = (96, 80)
HOSTILE_NAME = "<img src=x onerror=alert(1)>"
SHORT, LONG, LONG8, TEXT = 3, 4, 16, 2

Field = tuple[int, Sequence[int] | bytes]
"""Type of a TIFF tag, and its values or text."""


def picture(seed: int = 0, dtype: DTypeLike = np.uint16, shape_px: tuple[int, int] = SHAPE_PX) -> NDArray[np.generic]:
    """Return noise on a bright ground: no row is zero, no two seeds are equal."""
    values = np.random.default_rng(seed).integers(40, 240, shape_px)
    return values.astype(dtype)


def save(
    target: Path | io.BytesIO,
    pixels: NDArray[np.generic],
    *,
    compression: str | None = None,
    per_cm: tuple[float, float] = (PER_CM, PER_CM),
) -> None:
    """Write pixels whole, with their size."""
    tifffile.imwrite(
        target,
        pixels,
        photometric="minisblack",
        compression=compression,
        resolution=per_cm,
        resolutionunit="CENTIMETER",
        metadata=None,
    )


def good_frame(path: Path, seed: int = 0, dtype: DTypeLike = np.uint16) -> None:
    save(path, picture(seed, dtype), compression="zlib" if seed % 2 else None)


def good_bytes(seed: int = 0, compression: str | None = None) -> bytes:
    stream = io.BytesIO()
    save(stream, picture(seed), compression=compression)
    return stream.getvalue()


def raw_tiff(
    fields: Mapping[int, Field], body: bytes, *, order: Literal["<", ">"] = "<", big: bool = False, following: int = 0
) -> bytes:
    """Put a TIFF together from any tags at all; the body lies at byte 8 (16 of a BigTIFF)."""
    offset_form, count_form, start = ("Q", "Q", 16) if big else ("L", "H", 8)
    room = struct.calcsize(f"={offset_form}")
    entry = struct.calcsize(f"=HH{offset_form}") + room
    directory = start + len(body)
    beyond = directory + struct.calcsize(f"={count_form}") + len(fields) * entry + room
    table, values_after = b"", b""
    for tag, (kind, values) in sorted(fields.items()):
        form = {SHORT: "H", LONG: "L", LONG8: "Q"}.get(kind, "")
        raw = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{form}", *values)
        if len(raw) > room:
            inline = struct.pack(order + offset_form, beyond + len(values_after))
            values_after += raw
        else:
            inline = raw.ljust(room, b"\0")
        table += struct.pack(f"{order}HH{offset_form}", tag, kind, len(values)) + inline
    magic = b"II" if order == "<" else b"MM"
    head = struct.pack(order + ("HHHQ" if big else "HL"), *((43, 8, 0, directory) if big else (42, directory)))
    count = struct.pack(order + count_form, len(fields))
    return magic + head + body + count + table + struct.pack(order + offset_form, following) + values_after


def grey_fields(
    shape_px: tuple[int, int], *, bits: int = 8, compression: int = 1, stored: int | None = None, start: int = 8
) -> dict[int, Field]:
    """Return the tags of a grey image in one strip; without `stored` its byte count is left out."""
    rows, columns = shape_px
    fields: dict[int, Field] = {
        256: (LONG, [columns]),
        257: (LONG, [rows]),
        258: (SHORT, [bits]),
        259: (SHORT, [compression]),
        262: (SHORT, [1]),
        273: (LONG, [start]),
        277: (SHORT, [1]),
        278: (LONG, [rows]),
    }
    return fields if stored is None else fields | {279: (LONG, [stored])}


def tile_fields(tile_px: tuple[int, int], stored: int) -> dict[int, Field]:
    """Return the tags of a 64 x 64 image in one tile of any size, deflated."""
    fields = grey_fields((64, 64), compression=8)
    del fields[273], fields[278]
    return fields | {322: (LONG, [tile_px[1]]), 323: (LONG, [tile_px[0]]), 324: (LONG, [8]), 325: (LONG, [stored])}


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def truncated(path: Path) -> None:
    path.write_bytes(good_bytes()[:-4000])


def truncated_compressed(path: Path) -> None:
    path.write_bytes(good_bytes(compression="zlib")[:-2000])


def truncated_png(path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(picture(dtype=np.uint8)).save(stream, "PNG")
    path.write_bytes(stream.getvalue()[:-500])


def zero_bytes(path: Path) -> None:
    path.touch()


def header_only(path: Path) -> None:
    path.write_bytes(b"II*\0" + bytes(4))


def half_zero(path: Path) -> None:
    """Write a file of full size into whose last rows nothing was written yet."""
    pixels = picture()
    pixels[SHAPE_PX[0] // 2 :] = 0
    save(path, pixels)


def declares_20000_squared(path: Path) -> None:
    path.write_bytes(raw_tiff(grey_fields((20_000, 20_000), bits=16, stored=800_000_000), bytes(1000)))


def compressed_20000_squared(path: Path) -> None:
    """Write a whole and valid image of 400 MB in little space: one strip that is pointed to often, and some filling."""
    strip = zlib.compress(bytes(range(1, 251)) * 8000, 9)
    fields = grey_fields((20_000, 20_000), compression=8)
    fields |= {273: (LONG, [8] * 200), 278: (LONG, [100]), 279: (LONG, [len(strip)] * 200)}
    path.write_bytes(raw_tiff(fields, strip + bytes(50 * len(strip))))


def png_20000_squared(path: Path) -> None:
    size = 20_000
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(bytes(size + 1)) for _ in range(size)) + packer.flush()
    head = struct.pack(">LLBBBBB", size, size, 8, 0, 0, 0, 0)
    body = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def deflated(megabytes: int) -> bytes:
    """Return so many megabytes of a pattern, deflated to a thousandth."""
    packer = zlib.compressobj(9)
    block = bytes(range(256)) * 4096
    return b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()


def bomb_in_a_strip(path: Path) -> None:
    """Write 64 x 64 declared pixels whose one strip decodes to 256 MB."""
    strip = deflated(256)
    path.write_bytes(raw_tiff(grey_fields((64, 64), compression=8, stored=len(strip)), strip))


def bomb_in_a_tile(path: Path) -> None:
    """Write 64 x 64 declared pixels in one tile of 40,000 x 40,000."""
    tile = deflated(16)
    path.write_bytes(raw_tiff(tile_fields((40_000, 40_000), len(tile)), tile))


def transparent(path: Path) -> None:
    channels = np.stack([picture(n, np.uint8) for n in range(4)], axis=-1)
    tifffile.imwrite(path, channels, photometric="rgb", extrasamples=["unassalpha"])


def transparent_png(path: Path) -> None:
    with path.open("wb") as stream:
        Image.fromarray(np.stack([picture(n, np.uint8) for n in range(4)], axis=-1)).save(stream, "PNG")


def with_nan(path: Path) -> None:
    pixels = picture(dtype=np.float32)
    pixels[5, 5] = np.nan
    save(path, pixels)


def with_infinity(path: Path) -> None:
    pixels = picture(dtype=np.float64)
    pixels[5, 5] = 1e300
    save(path, pixels)


def constant(path: Path) -> None:
    save(path, np.full(SHAPE_PX, 700, np.uint16))


def png_inside(path: Path) -> None:
    with path.open("wb") as stream:
        Image.fromarray(picture(dtype=np.uint8)).save(stream, "PNG")


def text_inside(path: Path) -> None:
    path.write_text("these are the notes of Tuesday\n" * 50)


def signed(path: Path) -> None:
    save(path, picture(dtype=np.int16))


def stack(path: Path) -> None:
    save(path, np.stack([picture(n) for n in range(3)]))


def too_small(path: Path) -> None:
    save(path, picture(shape_px=(63, 200)))


def oblong_pixels(path: Path) -> None:
    save(path, picture(), per_cm=(PER_CM, PER_CM * 2))


def without_size(path: Path) -> None:
    tifffile.imwrite(path, picture(17), metadata=None)


def jpeg_inside(path: Path) -> None:
    save(path, picture(dtype=np.uint8), compression="jpeg")


def ome_xml(inner: str = "", *, size: str = 'PhysicalSizeX="0.5" PhysicalSizeY="0.5"', date: str = "") -> str:
    rows, columns = SHAPE_PX
    acquired = f"<AcquisitionDate>{date}</AcquisitionDate>" if date else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        f'{acquired}<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="{columns}" SizeY="{rows}" '
        f'SizeC="1" SizeZ="1" SizeT="1" {size}>{inner}</Pixels></Image></OME>'
    )


def described(path: Path, description: str) -> None:
    """Write a good frame with any text at all as its description."""
    tifffile.imwrite(path, picture(), description=description.encode(), metadata=None)


def ome_pointing_outside(path: Path) -> None:
    described(path, ome_xml('<TiffData><UUID FileName="../../../secret.ome.tif">urn:uuid:1</UUID></TiffData>'))


def ome_with_entities(path: Path) -> None:
    """Write OME-XML that asks for a file of this machine."""
    described(path, '<!DOCTYPE OME [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + ome_xml("&x;").partition("?>")[2])


def link_out_of_the_root(path: Path) -> None:
    outside = path.parents[3] / "outside.tif"  # above the root of a frame in FLASK/POSITION
    good_frame(outside, seed=990)
    path.symlink_to(outside)


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    os.mkfifo(path)


BAD_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncated, "truncated"),
    "truncated-compressed": (truncated_compressed, "truncated"),
    "zero-bytes": (zero_bytes, "zero_bytes"),
    "header-only": (header_only, "header_only"),
    "half-zero": (half_zero, "half_zero"),
    "declares-20000": (declares_20000_squared, "too_large"),
    "compressed-20000": (compressed_20000_squared, "too_large"),
    "bomb-in-a-strip": (bomb_in_a_strip, "truncated"),
    "bomb-in-a-tile": (bomb_in_a_tile, "too_large"),
    "transparent": (transparent, "rgb"),
    "nan": (with_nan, "not_finite"),
    "infinity": (with_infinity, "not_finite"),
    "constant": (constant, "constant"),
    "png-inside": (png_inside, "wrong_extension"),
    "text-inside": (text_inside, "not_an_image"),
    "signed": (signed, "wrong_dtype"),
    "stack": (stack, "many_planes"),
    "too-small": (too_small, "too_small"),
    "oblong-pixels": (oblong_pixels, "pixels_not_square"),
    "jpeg-inside": (jpeg_inside, "unsupported_compression"),
    "ome-outside": (ome_pointing_outside, "outside_root"),
    "ome-entities": (ome_with_entities, "unsafe_metadata"),
    "link": (link_out_of_the_root, "symlink"),
    "link-loop": (link_to_itself, "symlink"),
    "pipe": (pipe, "not_an_image"),
}
"""Name of the kind, the function that writes it under a name that ends in .tif, and the reason of its refusal."""
