"""Simulated frames as files, written the way acquisition software writes them."""

from pathlib import Path

import tifffile

from monitor.synthetic.phantom import Phantom


def write_frame(phantom: Phantom, file: Path) -> None:
    """Write a phantom's pixels as an uncompressed 16-bit TIFF with its pixel size in the resolution tags."""
    file.parent.mkdir(parents=True, exist_ok=True)
    per_cm = 10_000.0 / phantom.pixel_size_um
    tifffile.imwrite(
        file,
        phantom.pixels,
        photometric="minisblack",
        resolution=(per_cm, per_cm),
        resolutionunit="CENTIMETER",
        description="simulated by cellvigil",
        metadata=None,
    )
