"""`cellvigil segment`: the segmenter on single images, without queue or state."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track

from monitor.errors import CellvigilError, FrameRejected
from monitor.frames.reader import ReadLimits, read_frame
from monitor.segmentation.advice import warning
from monitor.segmentation.overlay import render_overlay
from monitor.segmentation.segmenter import Segmenter, load_segmenter


@dataclass(frozen=True, slots=True)
class Outputs:
    """What is written beside the label images: outlines as PNG, virtual stains as OME-TIFF."""

    overlay: bool = False
    stain: bool = False


def segment_files(
    images: Sequence[Path],
    out: Path,
    *,
    pixel_size_um: float | None,
    outputs: Outputs,
    tta: bool,
    weights: Path | None,
    engine: str = "eager",
) -> int:
    """Write `<stem>_cells.tif` and `<stem>_nuclei.tif` for every image; return 1 when one could not be segmented."""
    console = Console(stderr=True)
    segmenter = load_segmenter(weights, tta=tta, engine=engine)
    out.mkdir(parents=True, exist_ok=True)
    taken: dict[str, Path] = {}
    failed = 0
    for path in track(images, "segmenting", console=console, disable=not console.is_terminal):
        try:
            if (other := taken.setdefault(path.stem, path)) != path:
                message = f"{path}: {other} has the same name; give the two different --out folders"
                raise FrameRejected(message, reason="same_name")
            line = _segment_file(segmenter, path, out, pixel_size_um, outputs)
        except CellvigilError as error:
            failed += 1
            console.print(f"{path}: {error}", markup=False, soft_wrap=True)
        except FileNotFoundError:
            failed += 1
            console.print(f"{path}: there is no such file", markup=False, soft_wrap=True)
        else:
            console.print(line, markup=False, soft_wrap=True)
    return 1 if failed else 0


def _segment_file(segmenter: Segmenter, path: Path, out: Path, pixel_size_um: float | None, outputs: Outputs) -> str:
    frame = read_frame(path, root=path.parent, pixel_size_um=pixel_size_um, limits=ReadLimits())
    found, stain = segmenter.segment_and_stain(frame)
    for name, labels in (("cells", found.cells), ("nuclei", found.nuclei)):
        write_labels(out / f"{path.stem}_{name}.tif", labels, frame.pixel_size_um)
    if outputs.stain:
        write_stain(out / f"{path.stem}_stain.ome.tif", stain, frame.pixel_size_um)
    if outputs.overlay:
        picture = render_overlay(frame.pixels, found.cells, found.nuclei)
        Image.fromarray(picture).save(out / f"{path.stem}_overlay.png")
    quality = found.quality
    counts = f"{found.n_cells} cells, {found.n_nuclei} nuclei, {100 * quality.confluency:.0f} % covered"
    return f"{path}: {counts}{warning(quality)}"


def write_labels(path: Path, labels: NDArray[np.int32], pixel_size_um: float) -> None:
    """Write a label image as compressed TIFF of 16 bits, or 32 where there are more instances, with its scale."""
    most = int(labels.max(initial=0))
    dtype = np.uint16 if most <= np.iinfo(np.uint16).max else np.uint32
    per_cm = 1e4 / pixel_size_um
    tifffile.imwrite(
        path,
        labels.astype(dtype),
        compression="deflate",
        resolution=(per_cm, per_cm),
        resolutionunit="CENTIMETER",
        photometric="minisblack",
        metadata=None,
    )


def write_stain(path: Path, stain: NDArray[np.float32], pixel_size_um: float) -> None:
    """Write (2, Y, X) virtual stains in [0, 1] as an OME-TIFF of 16 bits with the channels nucleus and cytoplasm."""
    tifffile.imwrite(
        path,
        np.round(stain * np.iinfo(np.uint16).max).astype(np.uint16),
        compression="deflate",
        photometric="minisblack",
        ome=True,
        metadata={
            "axes": "CYX",
            "PhysicalSizeX": pixel_size_um,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": pixel_size_um,
            "PhysicalSizeYUnit": "µm",
            "Channel": {"Name": ["nucleus (virtual)", "cytoplasm (virtual)"]},
        },
    )
