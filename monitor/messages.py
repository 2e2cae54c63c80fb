"""Every payload that crosses a stream: facts in the past tense, frozen and versioned, in one place.

Units stand in the names (`_um`, `_s`, `_px`); times are UTC and aware; pixels and label images travel as `BlobRef`.
A change of any field is a new `schema_version` and a new golden file; a reader parks a version that it does not know.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from monitor.frames.identity import FrameId, FrameKey, Name
from monitor.frames.sample import Sample

SCHEMA_VERSION: Literal[1] = 1

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Digest = Annotated[str, Field(min_length=1, max_length=128)]


class Fact(BaseModel):
    """Base of everything that is stored or sent: frozen, unknown fields refused, infinities and NaN refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Message(Fact):
    """Base of every stream payload; `kind` names it on the wire."""

    schema_version: Literal[1] = SCHEMA_VERSION


class BlobRef(Fact):
    """Where bytes lie, without the bytes: a path inside a named store, and their sha256.

    `store` is `watch` (the microscope's folder) or `masks` (the state folder's label images); `path` is relative and
    written with forward slashes, so that machines which mount the stores elsewhere agree.
    """

    store: Literal["watch", "masks"]
    path: str
    sha256: FrameId


class FrameArrived(Message):
    """A complete, readable frame lies in the watched folder.

    `source` is the path relative to the watched folder; `shape_px` is (rows, columns); `arrived_at` is when the
    ingester found the file complete; `acquired_at` comes from the layout, the file's metadata or its mtime.
    """

    kind: Literal["frame_arrived"] = "frame_arrived"
    frame_id: FrameId
    key: FrameKey
    pixels: BlobRef
    shape_px: tuple[int, int]
    dtype: Literal["uint8", "uint16", "float32"]
    pixel_size_um: Annotated[float, Field(gt=0.0)]
    acquired_at: AwareDatetime
    arrived_at: AwareDatetime
    sample: Sample = Sample()

    @property
    def source(self) -> str:
        """Path of the file relative to the watched folder."""
        return self.pixels.path


class FrameQuality(Fact):
    """Whether a frame and its masks can carry an estimate; thresholds live in `segmentation/quality.py`.

    Attributes
    ----------
    focus
        Sharpness, higher is sharper, unit-free.
    illumination
        Relative unevenness of the background, 0 is flat.
    saturated_fraction
        Of the pixels, at the limits of the camera.
    confluency
        Share of the frame that cells cover.
    doubt
        How undecided the network's maps are, 0 decided to 1 undecided.
    debris_fraction
        Of the ground.
    cut_fraction
        Of the cells, cut by the border.
    merged_fraction
        Of the cells, likely several taken for one.
    passes
        Whether the frame should be relied on.
    reason
        Why not, as a code; None when it passes.
    """

    focus: float
    illumination: float
    saturated_fraction: Fraction
    confluency: Fraction
    doubt: Fraction
    debris_fraction: Fraction = 0.0
    cut_fraction: Fraction = 0.0
    merged_fraction: Fraction = 0.0
    passes: bool
    reason: str | None = None


class EngineParity(Fact):
    """How far an engine's labels lie from those of the reference engine on the shipped frames.

    f1: of cells and nuclei at IoU 0.5, the lower of the two; count_error: relative, the larger of the two;
    feature_error: largest relative difference of a population feature, which `worst_feature` names; `reason` says what
    is out of tolerance when `passes` is False.
    """

    frames: Annotated[int, Field(ge=1)]
    f1: Fraction
    count_error: Annotated[float, Field(ge=0.0)]
    feature_error: Annotated[float, Field(ge=0.0)]
    worst_feature: str
    passes: bool
    reason: str | None = None


class SegmentedBy(Fact):
    """What made a segmentation: the engine, what it is made of, the weights, and how it agrees with the reference.

    `parity` is None when the engine is the reference.
    """

    engine: str
    engine_digest: Digest
    weights_digest: Digest
    parity: EngineParity | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields by name, as the messages that carry them are made with."""
        return {name: getattr(self, name) for name in SegmentedBy.model_fields}


class FrameSegmented(Message):
    """Label images of cells and nuclei were made and stored; counts are of whole frames, border cells included.

    What made it stands in the last four fields, as in `SegmentedBy`.
    """

    kind: Literal["frame_segmented"] = "frame_segmented"
    frame: FrameArrived
    cells: BlobRef
    nuclei: BlobRef
    n_cells: Annotated[int, Field(ge=0)]
    n_nuclei: Annotated[int, Field(ge=0)]
    quality: FrameQuality
    engine: str
    engine_digest: Digest
    weights_digest: Digest
    parity: EngineParity | None = None

    @property
    def frame_id(self) -> str:
        """Identity of the frame that was segmented."""
        return self.frame.frame_id

    @property
    def by(self) -> SegmentedBy:
        """What made it."""
        return SegmentedBy(**{name: getattr(self, name) for name in SegmentedBy.model_fields})


class FrameFailed(Message):
    """A stage gave a frame up; `reason` is a code, `detail` a sentence with the mend."""

    kind: Literal["frame_failed"] = "frame_failed"
    frame_id: FrameId
    stage: str
    reason: str
    detail: str


class Parked(Message):
    """A payload that this version does not understand, kept whole for one that does; `payload` is its text."""

    kind: Literal["parked"] = "parked"
    stream: str
    key: str
    payload: str
    reason: str


class EstimateState(StrEnum):
    """What a frame's estimate is worth."""

    OK = "ok"
    NOT_ASSESSABLE = "not_assessable"


class Provenance(Fact):
    """Digests of everything that made an estimate, so that it can be replayed; `parity` as in `SegmentedBy`."""

    code_version: str
    engine: str
    engine_digest: Digest
    parity: EngineParity | None = None
    weights: Digest
    feature_contract: Digest
    potency_model: Digest
    calibration: Digest
    configuration: Digest


class FrameEstimate(Fact):
    """Potency of one frame in percent of the reference lot: a pure function of the frame and the models.

    Attributes
    ----------
    state
        `ok` or `not_assessable`.
    reason
        Why it is not assessable, as a code; None when it is.
    potency
        The estimate; None unless `state` is ok.
    low
        Lower end of its interval; None unless `state` is ok.
    high
        Upper end of its interval; None unless `state` is ok.
    """

    state: EstimateState
    reason: str | None = None
    potency: float | None = None
    low: float | None = None
    high: float | None = None


class RollingEstimate(Fact):
    """Potency of the flask over its last frames, as of one frame.

    potency, low, high: percent of the reference lot, None when no frame in the window could be assessed, or those that
    were are of fewer fields of view than the settings ask for;
    trend_per_day: Theil-Sen slope over the window in percentage points per day, None below four frames;
    n_frames: assessable frames in the window.
    """

    potency: float | None
    low: float | None
    high: float | None
    trend_per_day: float | None
    n_frames: Annotated[int, Field(ge=0)]


class PotencyEstimated(Message):
    """A frame was turned into an estimate, and the flask's rolling estimate was brought up to it.

    A frame that arrives late changes the rolling estimates of the frames after it: these are published again with a
    higher `revision`, and the greatest revision of a frame is the one that counts.
    """

    kind: Literal["potency_estimated"] = "potency_estimated"
    frame_id: FrameId
    key: FrameKey
    source: str
    acquired_at: AwareDatetime
    n_cells: Annotated[int, Field(ge=0)]
    n_nuclei: Annotated[int, Field(ge=0)]
    quality: FrameQuality
    estimate: FrameEstimate
    rolling: RollingEstimate
    revision: Annotated[int, Field(ge=0)] = 0
    provenance: Provenance


class Channel(StrEnum):
    """The separate kinds of trouble; an alarm names exactly one.

    positions, frozen: of a flask whose frames are fewer than they were, or the same picture again and again; lag,
    clock, disk: of the machine; delivery: the way of alarms to people.
    """

    ARRIVAL = "arrival"
    OPTICS = "optics"
    SEGMENTATION = "segmentation"
    MORPHOLOGY = "morphology"
    POTENCY = "potency"
    POSITIONS = "positions"
    FROZEN = "frozen"
    LAG = "lag"
    CLOCK = "clock"
    DISK = "disk"
    DELIVERY = "delivery"


MACHINE = "(this machine)"
"""Stands for a flask where an alarm is about the machine."""


class FlaskSilent(Message):
    """No frame of a flask has arrived for several expected intervals, as the ingester's clock saw it."""

    kind: Literal["flask_silent"] = "flask_silent"
    flask: Name
    last_frame_id: FrameId
    last_acquired_at: AwareDatetime
    observed_at: AwareDatetime
    expected_interval_s: Annotated[float, Field(gt=0.0)]


class ConditionObserved(Message):
    """Something outside the pictures came to be in trouble, or in order again, as a service saw it.

    flask: the one that it is about, `MACHINE` for what is about none; channel: frozen, lag, clock or disk; position:
    the one whose picture is frozen; since: when it began; what: the same in words, with its numbers.
    """

    kind: Literal["condition_observed"] = "condition_observed"
    flask: Name
    channel: Channel
    bad: bool
    since: AwareDatetime
    observed_at: AwareDatetime
    what: str
    position: Name | None = None


class DriftDetected(Message):
    """A detector crossed its limit at a frame: statistic and limit in units of the baseline's standard deviation."""

    kind: Literal["drift_detected"] = "drift_detected"
    event_id: Digest
    flask: Name
    channel: Channel
    detector: str
    frame_id: FrameId
    at: AwareDatetime
    statistic: float
    limit: float
    provisional: bool


class AlarmState(StrEnum):
    """What happened to an alarm, after ISA-18.2: by itself the first two, the others by an operator or a clock.

    reminded: it is told again because nobody acknowledged it; tested: it is a test of the way to people.
    """

    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    OUT_OF_SERVICE = "out_of_service"
    IN_SERVICE = "in_service"
    REMINDED = "reminded"
    TESTED = "tested"


class AlarmStatus(StrEnum):
    """Where an alarm stands after ISA-18.2 / IEC 62682.

    unacknowledged, acknowledged: the trouble is there, and somebody has not or has said that he knows;
    returned_unacknowledged: over before anybody said so; latched: the same for an alarm that stands until then;
    shelved: put aside by an operator until a time; suppressed: a channel above it is in trouble, so that it cannot be
    judged; out_of_service: taken away by an operator until he brings it back.
    """

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"
    LATCHED = "latched"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"
    OUT_OF_SERVICE = "out_of_service"


class AlarmChanged(Message):
    """An alarm was raised or cleared, or an operator did something to it.

    `event_id` is a digest of flask, channel, state and the row that caused it, so the same history gives the same
    ids; `alarm_id` joins the events of one alarm; `estimated_onset_at` is when the trouble is believed to have begun;
    `frame_id` is None where no frame shows it; `status` is where the alarm stands afterwards; `by` says who did it,
    `cellvigil` where it came about by itself; `respond_by` is when somebody should have acted, of an alarm that is
    raised. Version 1 had no status, by, consequence and respond_by; it is still read.
    """

    schema_version: Literal[1, 2] = 2  # type: ignore[assignment]  # facts of version 1 lie in records and are read
    kind: Literal["alarm_changed"] = "alarm_changed"
    event_id: Digest
    alarm_id: Digest
    flask: Name
    channel: Channel
    state: AlarmState
    at: AwareDatetime
    frame_id: FrameId | None
    estimated_onset_at: AwareDatetime
    priority: Literal["high", "medium", "low"]
    cause: str
    action: str
    status: AlarmStatus | None = None
    by: str = "cellvigil"
    consequence: str = ""
    respond_by: AwareDatetime | None = None


class AlarmsGrouped(Message):
    """Several changes of alarms in one notification, in the order in which they were to be told.

    Each change keeps its `event_id`, by which a receiver can tell what it has seen; `group_id` is a digest of them.
    """

    kind: Literal["alarms_grouped"] = "alarms_grouped"
    group_id: Digest
    changes: Annotated[tuple[AlarmChanged, ...], Field(min_length=2)]


class OperatorAction(StrEnum):
    """What an operator can do to an alarm."""

    ACKNOWLEDGE = "acknowledge"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    OUT_OF_SERVICE = "out_of_service"
    IN_SERVICE = "in_service"


class OperatorActed(Message):
    """An operator did something to the alarm of one channel of one flask.

    `at` is the time of the culture, as frames count it; `acted_at` that of the operator's clock; `until` ends a
    shelving and is None for everything else.
    """

    kind: Literal["operator_acted"] = "operator_acted"
    action_id: Digest
    flask: Name
    channel: Channel
    action: OperatorAction
    at: AwareDatetime
    acted_at: AwareDatetime
    by: Name
    why: Annotated[str, Field(max_length=1000)]
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _shelved_for_a_time(self) -> Self:
        if (self.action is OperatorAction.SHELVE) != (self.until is not None):
            raise ValueError("`until` is for shelving, which always ends")
        if self.until is not None and self.until <= self.at:
            raise ValueError(f"until {self.until} is not after {self.at}")
        return self


AnyMessage = Annotated[
    FrameArrived
    | FrameSegmented
    | FrameFailed
    | Parked
    | PotencyEstimated
    | FlaskSilent
    | ConditionObserved
    | DriftDetected
    | AlarmChanged
    | AlarmsGrouped
    | OperatorActed,
    Field(discriminator="kind"),
]
"""Any payload; the wire names it by `kind`."""

ANY_MESSAGE: TypeAdapter[AnyMessage] = TypeAdapter(AnyMessage)
