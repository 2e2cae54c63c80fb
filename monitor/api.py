"""The library by hand, one step a function: read, segment, measure, predict. `monitor` gives the same names lazily.

README, "From Python", has them in a row; `docs/examples` has more.
"""

import os
import warnings
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from monitor.errors import FrameRejected
from monitor.frames import reader
from monitor.frames.frame import Frame
from monitor.frames.from_array import frame_of
from monitor.messages import FrameEstimate
from monitor.pipeline import Masks

if TYPE_CHECKING:
    from monitor.features.featurizer import FrameFeatures
    from monitor.potency.conditions import Value
    from monitor.potency.model import PotencyModel
    from monitor.segmentation.segmenter import Segmentation, Segmenter

SEGMENTERS_KEPT = 2


def read_frame(path: str | os.PathLike[str], pixel_size_um: float | None = None) -> Frame:
    """Return the frame in a TIFF or PNG file, decoded and checked.

    Parameters
    ----------
    path
        The file; one plane. Of colour the luminance is read.
    pixel_size_um
        Side of a square pixel in micrometres, where neither the file nor a `cellvigil.json` beside it says it; what
        these say goes before it.

    Returns
    -------
    Frame
        `pixels`, (Y, X) uint8, uint16 or float32, finite and not constant; and `pixel_size_um`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FrameNotReady
        The file is empty, cut short or not yet written to its end.
    FrameRejected
        The file is no frame, or says no pixel size (`no_pixel_size`); `reason` is a code, the message has the mend.
    """
    file = Path(path)
    return reader.read_frame(file, root=file.parent, pixel_size_um=pixel_size_um, limits=reader.ReadLimits())


def segment_image(
    pixels: ArrayLike,
    pixel_size_um: float,
    *,
    weights: str | os.PathLike[str] | None = None,
    engine: str = "eager",
    tta: bool = False,
) -> "Segmentation":
    """Outline every cell and nucleus of an image.

    A frame that should not be relied on (out of focus, saturated, full of debris, not understood) is segmented all the
    same: `quality.passes` is False then, `quality.reason` says why, and `predict` gives no number for it. Ask
    `quality.passes` before you believe the outlines.

    Parameters
    ----------
    pixels
        (Y, X) uint8, uint16, float32 or float64, finite: camera counts or any linear scale of them. Of colour, as
        (Y, X, 3) or (Y, X, 4) uint8 or uint16, the luminance is taken.
    pixel_size_um
        Side of a square pixel in micrometres, 0.05 to 20.
    weights
        Model card of other weights, or `laboratories`, which come with the package; None is the default weights. They
        are loaded at the first call and kept for the next ones.
    engine
        What runs the network, one of `monitor.engine.choice.ENGINES`. It is taken as it is; eager is the reference.
    tta
        Whether to average over eight mirrored and turned copies: steadier outlines for eight times the work.

    Returns
    -------
    Segmentation
        `cells` and `nuclei`, (Y, X) int32 on the grid of `pixels`: 0 is background, ids run from 1 without gaps, and
        every nucleus lies within one cell; `quality`, and `pixel_size_um`.

    Raises
    ------
    FrameRejected
        The array is no frame: `wrong_axes`, `wrong_dtype`, `not_finite`, `rgb`, `bad_pixel_size`; or, at this pixel
        size, it cannot be brought to the scale of the network.
    ModelRefused
        The weights are missing, altered or of another network.
    EngineFailure
        The engine cannot run here, or failed; the message says what would help.
    ValueError
        There is no such engine.
    """
    from monitor.network.checkpoint import SHIPPED, card_file, read_card

    frame = frame_of(pixels, pixel_size_um)
    card = card_file(SHIPPED if weights is None else Path(weights))
    (found,) = _segmenter(card, read_card(card).sha256, engine, tta).segment([frame])
    if isinstance(found, FrameRejected):
        raise found
    return found


def measure(
    image: Frame | ArrayLike, found: "Segmentation | Masks", *, families: Collection[str] | None = None
) -> "FrameFeatures":
    """Measure an image, its cells and its nuclei.

    Parameters
    ----------
    image
        The frame that was segmented, or its pixels as `segment_image` takes them.
    found
        Its label images: of `segment_image`, or of `OpenedRun.labels`, which need `image` as a frame.
    families
        Names of `monitor.features.catalogue.FAMILIES` to measure beyond what every frame has; None is all of them, ()
        none, which takes a fraction of the time.

    Returns
    -------
    FrameFeatures
        `cells`, (N,) float64 by name, NaN where a cell has no such measure, row i of the cell with id i + 1;
        `population`, float by name, without those that could not be measured. Names, units and definitions are those
        of `monitor.features.catalogue`: lengths in um, areas in um2, densities per cm2.

    Raises
    ------
    FrameRejected
        The array is no frame; see `segment_image`.
    ValueError
        Image and label images differ in shape.
    KeyError
        There is no such family.
    TypeError
        The labels say no pixel size, and the image is an array that says none either.
    """
    from monitor.features import featurizer
    from monitor.features.catalogue import FAMILIES

    if not isinstance(image, Frame):
        if isinstance(found, Masks):
            raise TypeError("these labels say no pixel size; give the image as Frame(pixels, pixel_size_um)")
        image = frame_of(image, found.pixel_size_um)
    return featurizer.measure(
        image, found.cells, found.nuclei, families=tuple(FAMILIES) if families is None else families
    )


def load_potency_model(path: str | os.PathLike[str] | None = None) -> "PotencyModel":
    """Return a potency model, verified and tried in a child process first; that takes some seconds.

    Parameters
    ----------
    path
        Folder that `cellvigil train potency` wrote. None is the demonstration model, which knows simulated cultures
        only and says so with a warning.

    Returns
    -------
    PotencyModel
        The model, with its card, its features and the conditions that it was trained under.

    Raises
    ------
    ModelRefused
        The folder holds no model, or one that was altered, is of another version or fails on its own golden rows.
    """
    from monitor.potency.model import DEMO, load_model

    model = load_model(DEMO if path is None else Path(path))
    if path is None:
        message = f"the {model.card['name']} must not be used for {model.card['must_not_be_used_for']}"
        warnings.warn(message, UserWarning, stacklevel=2)
    return model


def predict(
    model: "PotencyModel",
    features: "FrameFeatures",
    found: "Segmentation | Masks",
    *,
    conditions: "Mapping[str, Value] | None" = None,
    min_cells: int | None = None,
) -> FrameEstimate:
    """Estimate the potency of one frame, or say why that cannot be done.

    Parameters
    ----------
    model
        A model of features that frames are measured for.
    features
        What was measured on the frame, with the families that the model needs.
    found
        What was segmented on it: its quality and the number of its cells count.
    conditions
        What you know of the flask: `stimulation` and `medium` as text, `passage` and `hours` since seeding as numbers.
        A model that was trained under conditions refuses a frame of which it does not know them.
    min_cells
        A frame with fewer cells is not assessable; None is the default of the setting `culture.min_cells`.

    Returns
    -------
    FrameEstimate
        `state` ok with `potency`, `low` and `high`, in the unit of the model (the demonstration model: percent of its
        reference lot), the interval holding the share of new flasks that the model was calibrated for; or `state`
        not_assessable with a `reason` and no number.

    Raises
    ------
    ModelRefused
        The model needs columns that are measured elsewhere, or it tells classes apart and has no potency in numbers.
    """
    from monitor.culture.settings import CultureSettings

    return model.estimate(
        features.population,
        found.quality,
        int(found.cells.max(initial=0)),
        min_cells=CultureSettings().min_cells if min_cells is None else min_cells,
        conditions=conditions,
    )


@lru_cache(maxsize=SEGMENTERS_KEPT)
def _segmenter(card: Path, sha256: str, engine: str, tta: bool) -> "Segmenter":
    """Return a segmenter; the digest on the card is a part of the key, so that weights trained anew are loaded anew."""
    from monitor.segmentation.segmenter import load_segmenter

    return load_segmenter(card, tta=tta, engine=engine)
