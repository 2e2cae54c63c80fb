"""Pictures of frames: the frame in grey, outlines of cells and nuclei, cells filled by a feature, single cells.

What a picture shows is settled by the content of frame and label image, so a browser may keep it for ever. Frames are
read as workers read them: what lies there must be what was measured. Few are drawn at a time, for large ones take
memory (`picture_cache`).
"""

import io
from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from monitor.frames.reader import ReadLimits
from monitor.messages import FrameSegmented
from monitor.segmentation.one_cell import box_of, draw_cell
from monitor.segmentation.overlay import CELL_RGB, NUCLEUS_RGB, outline, stretched
from services.dashboard.colours import palette, places_of
from services.dashboard.content import FOREVER, Content, etag_of
from services.dashboard.endpoint import PageRequest, RequestParams
from services.dashboard.errors import NotFound
from services.dashboard.frames import segmentation_of
from services.dashboard.why import cells_of
from services.transport.file_blobs import FileLabels
from services.workers.frame_files import FrameFiles

SIDE_MOST = 8192
CELL_PX = 160
MARGIN = 1.35
JPEG_QUALITY = 88


class PictureWanted(RequestParams):
    """How wide at most, in pixels; the whole frame where it is not said."""

    width: Annotated[int | None, Field(ge=16, le=SIDE_MOST)] = None


class CellsWanted(PictureWanted):
    """colour_by: fill cells by a feature of them instead of drawing their outlines."""

    colour_by: Annotated[str | None, Field(max_length=100)] = None


def frame_image(request: PageRequest) -> Content:
    """Return the frame as it was taken, stretched to grey, as JPEG."""
    fact = _fact(request)
    width = request.params.width
    return _picture(request, "image/jpeg", lambda: _frame(request, fact, width), "image", str(width))


def cells_image(request: PageRequest) -> Content:
    """Return outlines of cells, or cells filled by a feature, on nothing, as PNG."""
    fact, wanted = _fact(request), request.params
    parts = (fact.cells.sha256, str(wanted.width), wanted.colour_by or "")
    if wanted.colour_by is None:
        return _picture(
            request, "image/png", lambda: _outlines(request, fact, wanted.width, cells=True), "cells", *parts
        )
    return _picture(request, "image/png", lambda: _filled(request, fact, wanted), "filled", *parts)


def nuclei_image(request: PageRequest) -> Content:
    """Return outlines of nuclei on nothing, as PNG."""
    fact, width = _fact(request), request.params.width
    parts = (fact.nuclei.sha256, str(width))
    return _picture(request, "image/png", lambda: _outlines(request, fact, width, cells=False), "nuclei", *parts)


def cell_image(request: PageRequest) -> Content:
    """Return one cell with its outline, as JPEG."""
    fact, number = _fact(request), int(request.path["cell"])
    return _picture(request, "image/jpeg", lambda: _cell(request, fact, number), "cell", fact.cells.sha256, str(number))


def shrunk(shape: tuple[int, int], width: int | None) -> tuple[int, int]:
    """Return rows and columns of a picture at most `width` wide; never larger than the frame.

    >>> shrunk((3000, 4000), 1000), shrunk((300, 400), 1000)
    ((750, 1000), (300, 400))
    """
    rows, columns = shape
    if width is None or width >= columns:
        return shape
    return max(1, round(rows * width / columns)), width


def thinned_outline(edge: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return outlines in a smaller picture: a pixel is one where any of those it stands for was."""
    for axis, size in enumerate(shape):
        if size < edge.shape[axis]:
            starts = np.arange(size) * edge.shape[axis] // size
            edge = np.logical_or.reduceat(edge, starts, axis=axis)
    return edge


def _picture(request: PageRequest, media: str, make: Callable[[], bytes], *parts: str) -> Content:
    etag = etag_of(request.path["frame_id"], *parts)
    if request.etag == etag:
        return Content(b"", media, cache=FOREVER, etag=etag)
    return Content(request.page.pictures.get(etag, make), media, cache=FOREVER, etag=etag)


def _fact(request: PageRequest) -> FrameSegmented:
    return segmentation_of(request.page.state, request.path["frame_id"])


def _pixels(request: PageRequest, fact: FrameSegmented) -> NDArray[np.generic]:
    watch = request.page.settings.watch
    files = FrameFiles(watch.folder.resolve(), ReadLimits(max_bytes=watch.max_frame_bytes))
    return files.read(fact.frame).pixels


def _frame(request: PageRequest, fact: FrameSegmented, width: int | None) -> bytes:
    grey = stretched(_pixels(request, fact))
    picture = Image.fromarray(grey)
    rows, columns = shrunk((grey.shape[0], grey.shape[1]), width)
    if (rows, columns) != grey.shape:
        picture = picture.resize((columns, rows), Image.Resampling.BOX)
    return _jpeg(picture)


def _outlines(request: PageRequest, fact: FrameSegmented, width: int | None, *, cells: bool) -> bytes:
    labels = FileLabels(request.page.state.masks).get(fact.cells if cells else fact.nuclei)
    edge = thinned_outline(outline(labels), shrunk((labels.shape[0], labels.shape[1]), width))
    colours = bytes((0, 0, 0, *(CELL_RGB if cells else NUCLEUS_RGB)))
    return _palette_png(edge.astype(np.uint8), colours)


def _filled(request: PageRequest, fact: FrameSegmented, wanted: CellsWanted) -> bytes:
    measured = cells_of(request.page, fact)
    values = measured.values.get(wanted.colour_by or "")
    if values is None:
        names = ", ".join(measured.values)
        raise NotFound(f"cells have no feature {wanted.colour_by!r}; choose among {names}", reason="no_feature")
    labels = FileLabels(request.page.state.masks).get(fact.cells)
    rows, columns = shrunk((labels.shape[0], labels.shape[1]), wanted.width)
    y, x = (np.arange(rows) * labels.shape[0] // rows), (np.arange(columns) * labels.shape[1] // columns)
    table = np.concatenate([[0], places_of(np.array(values, float))]).astype(np.uint8)
    return _palette_png(table[labels[np.ix_(y, x)]], palette())


def _cell(request: PageRequest, fact: FrameSegmented, number: int) -> bytes:
    labels = FileLabels(request.page.state.masks).get(fact.cells)
    try:
        box = box_of(labels, number)
    except KeyError:
        raise NotFound(f"there is no cell {number} in this frame", reason="no_cell") from None
    pixels = _pixels(request, fact)
    side = max(8, round(MARGIN * max(box[1] - box[0], box[3] - box[2])))
    low, high = np.percentile(pixels[::4, ::4].astype(np.float32), [0.5, 99.5])
    picture = Image.fromarray(draw_cell(pixels, labels, number, box, side, (float(low), float(high))))
    return _jpeg(picture.resize((CELL_PX, CELL_PX)))


def _jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()


def _palette_png(places: NDArray[np.uint8], colours: bytes) -> bytes:
    picture = Image.fromarray(places, "L")
    picture = picture.convert("P") if picture.mode != "P" else picture
    picture.putpalette(colours)
    stream = io.BytesIO()
    picture.save(stream, "PNG", transparency=0, compress_level=4)
    return stream.getvalue()
