"""Why an estimate is what it is, and the cells of a frame with their features."""

import json
import math
from typing import Annotated

import numpy as np
from pydantic import Field

from monitor.features.catalogue import CELL
from monitor.messages import FrameSegmented
from services.dashboard.colours import NO_VALUE, STOPS, hexed, scale_of
from services.dashboard.columns import Columns
from services.dashboard.endpoint import PageRequest, RequestParams
from services.dashboard.errors import NotFound
from services.dashboard.frames import items_of, population_of, segmentation_of
from services.dashboard.installation import Installation
from services.dashboard.measuring import Job, MeasuredCells
from services.dashboard.pages import known_flask
from services.dashboard.reasons import sentence_of
from services.dashboard.schemas import CellItem, CellPage, FeatureName, Thumbnail, Why, WhyWord

NAMES = {feature.name: feature for feature in CELL}


class WhyWanted(RequestParams):
    """Which frame; the newest assessable one where it is not said."""

    frame: Annotated[str | None, Field(max_length=64)] = None


def why(request: PageRequest) -> Why:
    """Return which features moved a frame's potency most, in words, and the cells that carry it."""
    flask, page = known_flask(request), request.page
    frame_id = request.params.frame or _newest_assessable(page, flask)
    nothing = Why(
        flask=flask,
        frame_id=None,
        acquired_at=None,
        state=None,
        reason="nothing was estimated yet",
        potency=None,
        low=None,
        high=None,
        biomarker=None,
        model=None,
        words=[],
        cell_feature=None,
        thumbnails=[],
    )
    if frame_id is None:
        return nothing
    items = items_of(page, [frame_id])
    if not items or items[0].flask != flask:
        raise NotFound(f"there is no frame {frame_id[:80]!r} of this flask", reason="frame")
    item = items[0]
    about = nothing.model_copy(
        update={
            "frame_id": frame_id,
            "acquired_at": item.acquired_at,
            "state": item.state,
            "reason": None if item.reason is None else item.reason_text or sentence_of(item.reason),
            "potency": item.potency,
            "low": item.low,
            "high": item.high,
        }
    )
    return _explained(page, about, frame_id) if item.state == "ok" else about


def cell_list(request: PageRequest) -> CellPage:
    """Return every cell of a frame with its features, and what the colours stand for."""
    fact = segmentation_of(request.page.state, request.path["frame_id"])
    measured = cells_of(request.page, fact)
    features = {name: _feature(name, values) for name, values in measured.values.items()}
    cells = [
        CellItem(
            cell=place + 1,
            centroid_px=list(centroid),
            box_px=list(measured.boxes_px[place]),
            whole=measured.whole[place],
            values={name: _number(values[place]) for name, values in measured.values.items()},
        )
        for place, centroid in enumerate(measured.centroids_px)
    ]
    return CellPage(
        frame_id=fact.frame_id,
        shape_px=list(measured.shape_px),
        features=features,
        colours=[hexed(stop) for stop in STOPS],
        no_value_colour=hexed(NO_VALUE),
        cells=cells,
    )


def cells_of(page: Installation, fact: FrameSegmented) -> MeasuredCells:
    """Return the measured cells of a frame; raises as `Measurer.cells`."""
    return page.measurer.cells(fact.frame_id, _job(page, fact, None))


def _explained(page: Installation, about: Why, frame_id: str) -> Why:
    try:
        fact = segmentation_of(page.state, frame_id)
    except NotFound as error:
        return about.model_copy(update={"reason": f"cannot be explained: {error}"})
    features = population_of(page.state, frame_id)
    found = page.measurer.explanation(frame_id, _job(page, fact, json.dumps(features) if features else None))
    thumbnails = [
        Thumbnail(
            url=f"/api/v1/frames/{frame_id}/cells/{cell}.jpg", cell=cell, text=f"{value:.4g} {found.unit}".rstrip()
        )
        for cell, value in found.carriers
    ]
    words = [WhyWord(feature=name, text=text, contribution=round(effect, 3)) for name, text, effect in found.words]
    return about.model_copy(
        update={
            "biomarker": found.biomarker,
            "model": found.model,
            "words": words,
            "cell_feature": found.cell_feature,
            "thumbnails": thumbnails,
            "reason": found.reason,
        }
    )


def _job(page: Installation, fact: FrameSegmented, features: str | None) -> Job:
    return Job(fact.model_dump_json(), page.settings.model_dump_json(), str(page.state.root), features)


def _newest_assessable(page: Installation, flask: str) -> str | None:
    with page.hub.readings.lock:
        columns = page.hub.readings.columns(flask) or Columns()
        fine = np.flatnonzero(~np.isnan(columns.column("potency")))
        if len(fine):
            return columns.ids[int(fine[-1])]
        return columns.ids[-1] if len(columns) else None


def _feature(name: str, values: list[float]) -> FeatureName:
    known = NAMES.get(name)
    low, high = scale_of(np.array(values, float)) or (None, None)
    return FeatureName(
        label=name.replace("_", " "),
        unit="" if known is None or known.unit == "1" else known.unit,
        definition="" if known is None else known.definition,
        low=low,
        high=high,
    )


def _number(value: float) -> float | None:
    return None if not math.isfinite(value) else float(f"{value:.6g}")
