"""A wall of simulated flasks over weeks, as predictors would have recorded them: made of numbers, without any picture.

Potencies are drawn around a level that falls, loses focus or stops where the plan of a flask says so; the fold over
them, its alarms and its estimates are the real ones.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from cases.sample_messages import ESTIMATED, digest

from monitor.culture.rows import CultureRow, FrameRow, SilenceRow
from monitor.culture.settings import CultureSettings
from monitor.culture.state import FlaskState
from monitor.frames.identity import FrameKey
from monitor.messages import EstimateState, FlaskSilent, FrameEstimate, FrameQuality
from monitor.pipeline import estimates_from
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord

INTERVAL = timedelta(minutes=15)
NOISE = 5.0
HALF_WIDTH = 11.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a flask; counts are frames before its end, None for never."""

    flask: str
    falls: int | None = None
    blurs: int | None = None
    stops: int | None = None


def wall_plans(count: int = 24) -> list[Plan]:
    """Return flasks most of which are well; five are not, and two have names that a page must survive."""
    trouble = {
        3: {"falls": 40},
        7: {"blurs": 6},
        10: {"stops": 9},
        15: {"falls": 70},
        18: {"blurs": 3},
    }
    names = {11: 'T75 "late" 🧫 <b>7</b>', 20: "MSC-P4-O'Neill & co"}
    return [
        Plan(names.get(number, f"MSC-{number // 6 + 1}{'ABCDEF'[number % 6]}"), **trouble.get(number, {}))
        for number in range(count)
    ]


def record_wall(state: Path, plans: list[Plan], frames: int, end: datetime) -> StateFolder:
    """Record flasks of `frames` frames each, a quarter of an hour apart, the last ones at `end`."""
    folder = StateFolder(state)
    folder.create()
    (state / "settings.json").write_text("{}")
    with SqliteRecord(folder.record) as record:
        for number, plan in enumerate(plans):
            rows = _rows(plan, frames, end, np.random.default_rng(number))
            fold_state = FlaskState(plan.flask, CultureSettings())
            with record.flask(plan.flask) as transaction:
                for row in rows:
                    transaction.add(row)
                history = [(row, fold_state.step(row)) for row in rows]
                transaction.put_estimates(estimates_from(history, {}))
                transaction.put_drifts([drift for _, step in history for drift in step.drifts])
                transaction.put_alarms([alarm for _, step in history for alarm in step.alarms])
                transaction.audit_moves([move for _, step in history for move in step.transitions])
                transaction.put_standings(fold_state.standings())
    return folder


def _rows(plan: Plan, frames: int, end: datetime, rng: np.random.Generator) -> list[CultureRow]:
    start = end - (frames - 1) * INTERVAL
    last = frames - (plan.stops or 0)
    level = np.full(frames, 96.0 + rng.normal(0.0, 3.0))
    if plan.falls is not None:
        level -= np.clip(np.arange(frames) - (frames - plan.falls), 0, None) * (30.0 / plan.falls)
    potency = np.clip(level + rng.normal(0.0, NOISE, frames), 5.0, 160.0)
    age = np.linspace(-4.0, 3.5, frames)
    confluency = 0.85 / (1.0 + np.exp(-age)) + rng.normal(0.0, 0.008, frames)
    rows: list[CultureRow] = []
    for at in range(last):
        blurred = plan.blurs is not None and at >= frames - plan.blurs
        share = float(np.clip(confluency[at], 0.0, 1.0))
        rows.append(_row(plan.flask, start + at * INTERVAL, potency[at], share, blurred, rng))
    if plan.stops:
        newest = rows[-1]
        assert isinstance(newest, FrameRow)
        rows.append(
            SilenceRow.of(
                FlaskSilent(
                    flask=plan.flask,
                    last_frame_id=newest.frame_id,
                    last_acquired_at=newest.acquired_at,
                    observed_at=newest.acquired_at + 4 * INTERVAL,
                    expected_interval_s=INTERVAL.total_seconds(),
                )
            )
        )
    return rows


def wall_row(flask: str, at: datetime, cells: int) -> FrameRow:
    """Return one more frame of a flask that is well."""
    row = _row(flask, at, 96.0, 0.8, False, np.random.default_rng(cells))
    return row.model_copy(update={"n_cells": cells})


def _row(
    flask: str, moment: datetime, potency: float, confluency: float, blurred: bool, rng: np.random.Generator
) -> FrameRow:
    reason = "out_of_focus" if blurred else None
    value = float(potency)
    estimate = FrameEstimate(state=EstimateState.OK, potency=value, low=value - HALF_WIDTH, high=value + HALF_WIDTH)
    if blurred:
        estimate = FrameEstimate(state=EstimateState.NOT_ASSESSABLE, reason=reason)
    time_point = f"{moment:%Y%m%dT%H%M%SZ}"
    return FrameRow(
        frame_id=digest(f"{flask}/{moment.isoformat()}"),
        key=FrameKey(flask=flask, position="p1", time_point=time_point),
        source=f"{digest(flask)[:8]}/p1/{time_point}.tif",
        acquired_at=moment,
        n_cells=int(30 + 700 * confluency + rng.integers(-6, 7)),
        n_nuclei=int(30 + 690 * confluency + rng.integers(-6, 7)),
        quality=FrameQuality(
            focus=(0.15 if blurred else 1.0) + float(rng.normal(0.0, 0.02)),
            illumination=0.05 + abs(float(rng.normal(0.0, 0.004))),
            saturated_fraction=0.0,
            confluency=confluency,
            doubt=0.08 + abs(float(rng.normal(0.0, 0.01))),
            passes=not blurred,
            reason=reason,
        ),
        features={},
        estimate=estimate,
        provenance=ESTIMATED.provenance,
    )
