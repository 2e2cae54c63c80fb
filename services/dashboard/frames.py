"""Frames as the viewer lists them, and one with all that is known of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from monitor.messages import FrameSegmented, SegmentedBy
from services.dashboard.columns import Columns
from services.dashboard.endpoint import PageRequest, RequestParams
from services.dashboard.errors import NotFound, Unprocessable
from services.dashboard.installation import Installation
from services.dashboard.pages import known_flask
from services.dashboard.reasons import sentence_of
from services.dashboard.schemas import FrameDetail, FrameItem, FramePage
from services.dashboard.series import Seconds
from services.state_folder import StateFolder
from services.store.ledger_view import viewed_ledger
from services.store.record_view import viewed_record

LIMIT_MOST = 500


class FramesWanted(RequestParams):
    """Which frames: newest first, of a position, from and to as in series; cursor: `next` of the page before."""

    position: Annotated[str | None, Field(max_length=200)] = None
    from_: Annotated[Seconds | None, Field(alias="from")] = None
    to: Seconds | None = None
    limit: Annotated[int, Field(ge=1, le=LIMIT_MOST)] = 100
    cursor: Annotated[str | None, Field(max_length=120)] = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a frame stands in its flask's order."""

    t: float
    frame_id: str
    position: str


def frame_list(request: PageRequest) -> FramePage:
    """Return frames of a flask, newest first, also those that failed or wait."""
    flask, wanted, page = known_flask(request), request.params, request.page
    with page.hub.readings.lock:
        columns = page.hub.readings.columns(flask) or Columns()
        places = _places(columns)
    estimated = {place.frame_id for place in places}
    places += _without_estimate(page.state, flask, estimated)
    positions = sorted({place.position for place in places})
    chosen = [place for place in places if _fits(place, wanted)]
    chosen.sort(key=lambda place: (place.t, place.frame_id), reverse=True)
    if wanted.cursor is not None:
        before = _parsed(wanted.cursor)
        chosen_page = [place for place in chosen if (place.t, place.frame_id) < before]
    else:
        chosen_page = chosen
    shown = chosen_page[: wanted.limit]
    items = items_of(page, [place.frame_id for place in shown])
    more = len(chosen_page) > len(shown)
    return FramePage(
        items=items,
        next=f"{shown[-1].t!r}_{shown[-1].frame_id}" if more else None,
        positions=positions,
        total=len(chosen),
    )


def items_of(page: Installation, frame_ids: Sequence[str]) -> list[FrameItem]:
    """Return frames as they are listed, in the order given; those of which nothing is known are left out."""
    facts = _facts(page.state, frame_ids)
    folder = page.settings.watch.folder.resolve()
    return [_item(frame_id, facts, folder) for frame_id in frame_ids if facts.knows(frame_id)]


def frame_detail(request: PageRequest) -> FrameDetail:
    """Return one frame: quality, provenance, population features, neighbours at its position."""
    frame_id, page = request.path["frame_id"], request.page
    items = items_of(page, [frame_id])
    if not items:
        raise NotFound(f"there is no frame {frame_id[:80]!r} here", reason="frame")
    item, facts = items[0], _facts(page.state, [frame_id])
    estimate, segmented, arrived = (
        facts.estimates.get(frame_id),
        facts.segmented.get(frame_id),
        facts.arrived.get(frame_id),
    )
    told = (segmented or {}).get("frame") or arrived or {}
    provenance = (estimate or {}).get("provenance") or _provenance(segmented)
    before, after = _neighbours(page, item)
    return FrameDetail(
        **item.model_dump(),
        shape_px=told.get("shape_px"),
        pixel_size_um=told.get("pixel_size_um"),
        dtype=told.get("dtype"),
        arrived_at=_moment(told.get("arrived_at")),
        sample=told.get("sample"),
        quality=(estimate or segmented or {}).get("quality"),
        provenance=provenance,
        population={name: round(value, 6) for name, value in population_of(page.state, frame_id).items()},
        colourable=colourable(),
        before=before,
        after=after,
    )


def colourable() -> list[str]:
    """Return the features that cells can be coloured by, whatever the model."""
    from monitor.features.catalogue import BASE_CELL

    return [feature.name for feature in BASE_CELL]


def segmentation_of(state: StateFolder, frame_id: str) -> FrameSegmented:
    """Return the stored segmentation of a frame.

    Raises
    ------
    NotFound
        It was not segmented.
    """
    fact = _facts(state, [frame_id]).segmented.get(frame_id)
    if fact is None:
        raise NotFound(f"frame {frame_id[:80]!r} is not known here, or was not segmented", reason="frame")
    return FrameSegmented.model_validate(fact)


def population_of(state: StateFolder, frame_id: str) -> dict[str, float]:
    """Return the population features of a frame as they were measured; empty where it was not."""
    with viewed_record(state.record) as record:
        return {} if record is None else record.population_features(frame_id)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is stored of frames, by id, as it was parsed."""

    estimates: dict[str, dict[str, Any]]
    segmented: dict[str, dict[str, Any]]
    failures: dict[str, dict[str, Any]]
    arrived: dict[str, dict[str, Any]]

    def knows(self, frame_id: str) -> bool:
        return any(frame_id in part for part in (self.estimates, self.segmented, self.arrived))


def _facts(state: StateFolder, frame_ids: Sequence[str]) -> _Facts:
    ids = list(frame_ids)
    with viewed_record(state.record) as record, viewed_ledger(state.ledger) as ledger:
        arrived = {} if ledger is None else ledger.arrived(ids)
        if record is None:
            return _Facts({}, {}, {}, arrived)
        estimates, segmented = record.facts_of("estimates", ids), record.facts_of("segmentations", ids)
        return _Facts(estimates, segmented, record.facts_of("failures", ids), arrived)


def _item(frame_id: str, facts: _Facts, folder: Path) -> FrameItem:
    estimate, segmented, failure = (
        facts.estimates.get(frame_id),
        facts.segmented.get(frame_id),
        facts.failures.get(frame_id),
    )
    arrived = facts.arrived.get(frame_id) or (segmented or {}).get("frame")
    known: dict[str, Any] = estimate or arrived or {}
    key = known["key"]
    source = known["source"] if estimate else known["pixels"]["path"]
    worth = (estimate or {}).get("estimate") or {}
    counted = estimate or segmented or {}
    state, reason, text = _state(estimate, failure)
    return FrameItem(
        frame_id=frame_id,
        flask=key["flask"],
        position=key["position"],
        channel=key["channel"],
        time_point=key["time_point"],
        acquired_at=datetime.fromisoformat(known["acquired_at"]),
        state=state,
        reason=reason,
        reason_text=text,
        cells=counted.get("n_cells"),
        nuclei=counted.get("n_nuclei"),
        confluency=_short((counted.get("quality") or {}).get("confluency"), 4),
        potency=_short(worth.get("potency")),
        low=_short(worth.get("low")),
        high=_short(worth.get("high")),
        source=source,
        has_image=(folder / source).is_file(),
        has_outlines=segmented is not None,
    )


def _state(
    estimate: dict[str, Any] | None, failure: dict[str, Any] | None
) -> tuple[Literal["ok", "not_assessable", "failed", "waiting"], str | None, str | None]:
    if estimate is not None:
        if estimate["estimate"]["state"] == "ok":
            return "ok", None, None
        reason = estimate["estimate"]["reason"] or "not_assessable"
        return "not_assessable", reason, sentence_of(reason)
    if failure is not None:
        return "failed", failure["reason"], failure["detail"]
    return "waiting", None, None


def _places(columns: Columns) -> list[_Place]:
    t, names = columns.column("t").tolist(), columns.names
    return [
        _Place(at, frame_id, names[number][0])
        for at, frame_id, number in zip(t, columns.ids, columns.series.tolist(), strict=True)
    ]


def _without_estimate(state: StateFolder, flask: str, estimated: set[str]) -> list[_Place]:
    """Return the frames of the ledger that have no estimate: they failed, or wait."""
    with viewed_ledger(state.ledger) as ledger:
        frames = [] if ledger is None else ledger.frames_of(flask)
    return [
        _Place(at.timestamp(), frame_id, position) for frame_id, position, at in frames if frame_id not in estimated
    ]


def _neighbours(page: Installation, item: FrameItem) -> tuple[str | None, str | None]:
    with page.hub.readings.lock:
        columns = page.hub.readings.columns(item.flask) or Columns()
        try:
            number = columns.names.index((item.position, item.channel))
        except ValueError:
            return None, None
        t, here = columns.column("t"), item.acquired_at.timestamp()
        same = np.flatnonzero(columns.series == number).tolist()
        ids = [columns.ids[place] for place in same]
        order = [(float(t[place]), columns.ids[place]) for place in same]
    earlier = [frame_id for frame_id, key in zip(ids, order, strict=True) if key < (here, item.frame_id)]
    later = [frame_id for frame_id, key in zip(ids, order, strict=True) if key > (here, item.frame_id)]
    return (earlier[-1] if earlier else None), (later[0] if later else None)


def _fits(place: _Place, wanted: FramesWanted) -> bool:
    return (
        wanted.position in (None, place.position)
        and (wanted.from_ is None or place.t >= wanted.from_)
        and (wanted.to is None or place.t <= wanted.to)
    )


def _parsed(cursor: str) -> tuple[float, str]:
    at, _, frame_id = cursor.partition("_")
    try:
        return float(at), frame_id
    except ValueError:
        raise Unprocessable("cursor: not one that this page gave", reason="bad_value") from None


def _provenance(segmented: dict[str, Any] | None) -> dict[str, Any] | None:
    if segmented is None:
        return None
    return {name: segmented.get(name) for name in SegmentedBy.model_fields}


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _short(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)
