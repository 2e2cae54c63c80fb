"""The stored rows that a flask's history is folded from: measured frames, observed silences, operators' actions."""

import hashlib
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from monitor.frames.identity import FrameId, FrameKey, Name
from monitor.messages import (
    ConditionObserved,
    Digest,
    Fact,
    FlaskSilent,
    FrameEstimate,
    FrameQuality,
    OperatorActed,
    Provenance,
)


class FrameRow(Fact):
    """Everything that was measured on one frame: a pure function of its pixels and the models.

    `features` holds the population features of the frame by name, in the units of the catalogue; a feature that
    cannot be measured (no cells) is absent. `hours` is the age of the culture, None where its seeding is not known.
    """

    kind: Literal["frame"] = "frame"
    frame_id: FrameId
    key: FrameKey
    source: str
    acquired_at: AwareDatetime
    n_cells: Annotated[int, Field(ge=0)]
    n_nuclei: Annotated[int, Field(ge=0)]
    quality: FrameQuality
    features: dict[str, float]
    hours: float | None = None
    estimate: FrameEstimate
    provenance: Provenance

    @property
    def row_id(self) -> str:
        """Identity of the row: the frame's."""
        return self.frame_id

    @property
    def at(self) -> AwareDatetime:
        """When it happened in the culture: the acquisition time."""
        return self.acquired_at

    @property
    def flask(self) -> str:
        """The flask the row belongs to."""
        return self.key.flask


class SilenceRow(Fact):
    """That no frame had come by `observed_at`, as the ingester saw it."""

    kind: Literal["silence"] = "silence"
    row_id: Digest
    silent: FlaskSilent

    @classmethod
    def of(cls, silent: FlaskSilent) -> "SilenceRow":
        """Return the row of a silence; its id is of the flask and its last frame."""
        text = f"silence\x1f{silent.flask}\x1f{silent.last_frame_id}"
        return cls(row_id=hashlib.sha256(text.encode()).hexdigest(), silent=silent)

    @property
    def at(self) -> AwareDatetime:
        """When the silence was observed."""
        return self.silent.observed_at

    @property
    def flask(self) -> Name:
        """The flask the row belongs to."""
        return self.silent.flask


class OperatorRow(Fact):
    """That an operator acknowledged, shelved or otherwise dealt with an alarm."""

    kind: Literal["operator"] = "operator"
    row_id: Digest
    acted: OperatorActed

    @classmethod
    def of(cls, acted: OperatorActed) -> "OperatorRow":
        """Return the row of an action; its id is the action's."""
        return cls(row_id=hashlib.sha256(f"operator\x1f{acted.action_id}".encode()).hexdigest(), acted=acted)

    @property
    def at(self) -> AwareDatetime:
        """When it counts in the culture's time."""
        return self.acted.at

    @property
    def flask(self) -> Name:
        """The flask the row belongs to."""
        return self.acted.flask


class ConditionRow(Fact):
    """That something outside the pictures came to be in trouble, or in order again."""

    kind: Literal["condition"] = "condition"
    row_id: Digest
    observed: ConditionObserved

    @classmethod
    def of(cls, observed: ConditionObserved) -> "ConditionRow":
        """Return the row of an observation; its id is of what began when."""
        parts = (
            observed.flask,
            observed.channel,
            observed.position or "",
            str(observed.bad),
            observed.since.isoformat(),
        )
        text = "\x1f".join(("condition", *parts))
        return cls(row_id=hashlib.sha256(text.encode()).hexdigest(), observed=observed)

    @property
    def at(self) -> AwareDatetime:
        """When it was observed."""
        return self.observed.observed_at

    @property
    def flask(self) -> Name:
        """The flask the row belongs to."""
        return self.observed.flask


CultureRow = FrameRow | SilenceRow | OperatorRow | ConditionRow


def fold_order(row: CultureRow) -> tuple[AwareDatetime, str]:
    """Key of the fold's order: time, then id; any delivery order gives one history."""
    return row.at, row.row_id
