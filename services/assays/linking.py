"""From a result to the frames that foretold it: the flask's window at the time of the sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches

import numpy as np

from monitor.culture.rows import FrameRow
from monitor.culture.settings import CultureSettings
from monitor.culture.state import Step, fold
from monitor.errors import SettingsError
from monitor.messages import EstimateState
from monitor.potency.pooled import Matrix, pooled
from services.assays.facts import Link
from services.assays.models import KnownModel
from services.store.record import Record

History = list[tuple[FrameRow, Step]]


class UnknownFlask(SettingsError):
    """The state folder has no frames of such a flask."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a result is about: the newest frame up to its time, and the window of frames behind the estimate.

    reason: why the window says nothing though there are frames in it; then it is empty.
    """

    at: datetime
    newest: FrameRow
    window: tuple[FrameRow, ...]
    reason: str | None = None


class Histories:
    """The frames of flasks as the monitor saw them, folded once each."""

    def __init__(self, record: Record, settings: CultureSettings) -> None:
        self._record = record
        self._settings = settings
        self._known: dict[str, History] = {}

    def moment(self, flask: str, at: datetime | None, within: timedelta) -> Moment:
        """Return what is known of a flask at a time, or where it was last seen.

        The window is that of the rolling estimate: the last frames that were counted, of one model and calibration,
        none older than `within`.

        Raises
        ------
        SettingsError
            `flask` or `at`, with the mend.
        """
        history = self._of(flask)
        first, last = history[0][0].at, history[-1][0].at
        at = last if at is None else at
        known = [(row, step) for row, step in history if row.at <= at]
        if not known:
            message = (
                f"flask {flask!r}: the first frame is of {first:%Y-%m-%d %H:%M} UTC, the result of {at:%Y-%m-%d %H:%M} "
                "UTC is from before it; correct the time (--at)"
            )
            raise SettingsError(message, reason="at")
        newest = known[-1][0]
        if newest.at < at - within:
            hours = (at - newest.at).total_seconds() / 3600.0
            message = (
                f"flask {flask!r}: the newest frame before {at:%Y-%m-%d %H:%M} UTC is {hours:.0f} h older than that, "
                "so nothing foretold the result; correct the time (--at), or widen what counts with --within"
            )
            raise SettingsError(message, reason="at")
        made_by = _maker(newest)
        window = [r for r, step in known if step.counted and r.at >= at - within and _maker(r) == made_by]
        window = window[-self._settings.window_frames :]
        if window and len({row.key.position for row in window}) < self._settings.min_fields:
            return Moment(at, newest, (), "too_few_fields")
        return Moment(at, newest, tuple(window))

    def _of(self, flask: str) -> History:
        if flask not in self._known:
            rows = self._record.frame_rows(flask)
            if not rows:
                raise _unknown(flask, self._record.flasks())
            # silences change what is told of a flask, never which frames count
            history = fold(flask, rows, self._settings)
            self._known[flask] = [(row, step) for row, step in history if isinstance(row, FrameRow)]
        return self._known[flask]


def link(moment: Moment, model: KnownModel, biomarker: str) -> Link:
    """Return what the model foretold of a biomarker at a moment, from the frames behind it."""
    live = biomarker == model.live
    common = {
        "as_of": moment.newest.frame_id,
        "as_of_at": moment.newest.at,
        "nominal": model.nominal(biomarker),
        "replayed": not live,
        "provenance": moment.newest.provenance,
    }
    if not moment.window:
        reason = moment.reason or moment.newest.estimate.reason or moment.newest.quality.reason or "no_frame_counted"
        return Link(state=EstimateState.NOT_ASSESSABLE, reason=reason, frames=(), **common)
    answers = _shown(moment.window) if live else model.opened.answers(features_of(moment.window, model))[biomarker]
    low, estimate, high = pooled(answers).tolist()
    frames = tuple(row.frame_id for row in moment.window)
    return Link(state=EstimateState.OK, frames=frames, low=low, estimate=estimate, high=high, **common)


def features_of(rows: Sequence[FrameRow], model: KnownModel) -> Matrix:
    """Return the features (K, F) of frames in the order of a model's contract.

    Raises
    ------
    SettingsError
        `features` when a stored frame lacks one, which no frame that this model judged does.
    """
    found = [model.bundle.contract.row(row.features) for row in rows]
    if any(row is None for row in found):
        message = f"{rows[0].source} was not measured for the model in {model.folder}; give the model that judged it"
        raise SettingsError(message, reason="features")
    return np.array(found, float)


def rows_by_id(record: Record, flasks: set[str]) -> dict[str, FrameRow]:
    """Return the stored frames of some flasks by their ids."""
    return {row.frame_id: row for flask in sorted(flasks) for row in record.frame_rows(flask)}


def _shown(rows: Sequence[FrameRow]) -> Matrix:
    return np.array([(row.estimate.low, row.estimate.potency, row.estimate.high) for row in rows], float)


def _maker(row: FrameRow) -> tuple[str, str]:
    return row.provenance.potency_model, row.provenance.calibration


def _unknown(flask: str, known: list[str]) -> UnknownFlask:
    near = get_close_matches(flask, known, 1, 0.5)
    guess = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(known[:5]) or 'none yet'}"
    more = " and others" if not near and len(known) > 5 else ""
    return UnknownFlask(f"no frame of a flask {flask!r} was measured in this state folder{guess}{more}", reason="flask")
