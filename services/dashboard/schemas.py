"""Everything that the page's interface answers: the truth of `/openapi.json`, of the templates and of the scripts.

Names are snake_case with their units; moments are ISO 8601 in UTC with `Z`; times of series are seconds since 1970;
shares are 0 to 1; potency is percent of the reference lot. `null` stands for what is not known.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

Points = list[float | None]
Pair = Annotated[list[int], Field(min_length=2, max_length=2)]
Place = Annotated[list[float], Field(min_length=2, max_length=2)]
Box = Annotated[list[int], Field(min_length=4, max_length=4)]


def utc(moment: datetime) -> str:
    """Return a moment as it is written everywhere on the page.

    >>> utc(datetime(2026, 3, 10, 12, tzinfo=UTC))
    '2026-03-10T12:00:00Z'
    """
    shown = moment.astimezone(UTC)
    shown = shown.replace(microsecond=shown.microsecond // 1000 * 1000)
    return shown.isoformat(timespec="milliseconds" if shown.microsecond else "seconds").replace("+00:00", "Z")


Moment = Annotated[AwareDatetime, PlainSerializer(utc, return_type=str)]


class ResponseModel(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorWords(ResponseModel):
    """What went wrong: a code for programs, a sentence with the mend for people."""

    code: str
    message: str


class ErrorAnswer(ResponseModel):
    """Every answer that is none."""

    error: ErrorWords


class TileAlarm(ResponseModel):
    """An alarm on a tile; status: where it stands after ISA-18.2; since: when the trouble is believed to have begun."""

    channel: str
    status: str
    priority: Literal["high", "medium", "low"]
    cause: str
    since: Moment
    raised_at: Moment
    respond_by: Moment | None


class Spark(ResponseModel):
    """The flask's last two days, at most 120 points: rolling potency, and its lowest and highest bound (the scale)."""

    t: list[float]
    potency: Points
    low: float | None
    high: float | None


class Tile(ResponseModel):
    """A flask at a glance.

    state: ok, alarm, stale (nothing came for some intervals, or it cannot be seen), no_data (nothing was ever
    estimated); potency, low, high: rolling, percent; trend_per_day: points; confluency: share; cells: in the newest
    frame of every position; last_frame_age_s: by the culture's clock; interval_s: usual time between time points;
    channels: where each alarm stands, `normal` or as in ISA-18.2; urgency: higher comes first.
    """

    flask: str
    state: Literal["ok", "alarm", "stale", "no_data"]
    potency: float | None
    low: float | None
    high: float | None
    trend_per_day: float | None
    confluency: float | None
    cells: int | None
    frames: int
    reason: str | None
    last_frame_id: str | None
    last_frame_at: Moment | None
    last_frame_age_s: float | None
    interval_s: float | None
    channels: dict[str, str]
    alarms: list[TileAlarm]
    spark: Spark
    urgency: int


class Machine(ResponseModel):
    """What stands about the machine itself: lag, clock, disk, delivery."""

    alarms: list[TileAlarm]


class FleetResponse(ResponseModel):
    """Every flask, the urgent ones first; now: of the culture's clock; speed: how fast it runs, 1 but in demos."""

    now: Moment
    speed: float
    flasks: list[Tile]
    machine: Machine
    open_alarms: int
    unseen_alarms: int
    floor: float
    revision: int


class SeriesName(ResponseModel):
    """What a series is; group: potency, culture or quality: those of a group share an axis."""

    label: str
    unit: str
    group: Literal["potency", "culture", "quality"]


class CourseResponse(ResponseModel):
    """Points of one quantity, ascending in time; gaps are null; low and high where it has an interval."""

    t: list[float]
    v: Points
    low: Points | None = None
    high: Points | None = None


class Baseline(ResponseModel):
    """What is usual for the flask, as it was learnt at each time; low, high: one deviation around it."""

    t: list[float]
    v: Points
    low: Points
    high: Points
    provisional: bool


class Cusum(ResponseModel):
    """The trace of the potency detector, in deviations of a frame, and the limit at which it raises an alarm."""

    t: list[float]
    v: Points
    limit: float
    detector: str


class ForecastLine(ResponseModel):
    """When a goal is crossed if it goes on as it went: the likely time and an interval of 90 %, seconds since 1970."""

    words: str
    from_t: float
    from_v: float
    goal: float
    t: float
    low_t: float
    high_t: float


class Forecasts(ResponseModel):
    """What is ahead of a flask; null where nothing can be said."""

    potency: ForecastLine | None
    confluency: ForecastLine | None


class AlarmSpan(ResponseModel):
    """An alarm on the time axis."""

    alarm_id: str
    channel: str
    priority: str
    cause: str
    onset_at: float
    raised_at: float
    acknowledged_at: float | None
    cleared_at: float | None


class AssayPoint(ResponseModel):
    """A result of the laboratory on the time axis; low, estimate, high: what had been foretold."""

    at: float
    biomarker: str
    value: float
    unit: str
    low: float | None
    estimate: float | None
    high: float | None
    entry_id: str


class SeriesResponse(ResponseModel):
    """A flask's course; from_t, to_t: what was asked for; first_t, last_t: all that there is.

    baseline, cusum: null while they are computed and where there are too few frames; limit: rolling potency below
    which the detector's sum grows; floor: the goal of the forecast; points: how many there are in the range.
    """

    flask: str
    names: dict[str, SeriesName]
    series: dict[str, CourseResponse]
    from_t: float | None
    to_t: float | None
    first_t: float | None
    last_t: float | None
    points: int
    baseline: Baseline | None
    limit: float | None
    floor: float
    confluency_goal: float
    cusum: Cusum | None
    forecast: Forecasts | None
    alarms: list[AlarmSpan]
    assays: list[AssayPoint]


class WhyWord(ResponseModel):
    """A feature that moved the estimate; contribution: what it adds to it, in points."""

    feature: str
    text: str
    contribution: float


class Thumbnail(ResponseModel):
    """A cell that carries the estimate."""

    url: str
    cell: int
    text: str


class Why(ResponseModel):
    """Why a frame was estimated as it was; reason: why it was not, or why it cannot be explained."""

    flask: str
    frame_id: str | None
    acquired_at: Moment | None
    state: str | None
    reason: str | None
    potency: float | None
    low: float | None
    high: float | None
    biomarker: str | None
    model: str | None
    words: list[WhyWord]
    cell_feature: str | None
    thumbnails: list[Thumbnail]


class FrameItem(ResponseModel):
    """A frame: state is ok, not_assessable, failed, quarantined or waiting; reason says why it is not ok."""

    frame_id: str
    flask: str
    position: str
    channel: str
    time_point: str
    acquired_at: Moment
    state: Literal["ok", "not_assessable", "failed", "waiting"]
    reason: str | None
    reason_text: str | None
    cells: int | None
    nuclei: int | None
    confluency: float | None
    potency: float | None
    low: float | None
    high: float | None
    source: str
    has_image: bool
    has_outlines: bool


class FramePage(ResponseModel):
    """Frames, newest first; next: cursor of the page after this one, null on the last; positions: all of the flask."""

    items: list[FrameItem]
    next: str | None
    positions: list[str]
    total: int


class FrameDetail(FrameItem):
    """A frame with all that is known of it; shape_px: rows, columns; before, after: neighbours at its position."""

    shape_px: Pair | None
    pixel_size_um: float | None
    dtype: str | None
    arrived_at: Moment | None
    sample: dict[str, Any] | None
    quality: dict[str, Any] | None
    provenance: dict[str, Any] | None
    population: dict[str, float]
    colourable: list[str]
    before: str | None
    after: str | None


class CellItem(ResponseModel):
    """A cell; centroid_px: y, x in pixels of the whole frame; whole: whether the border leaves it whole."""

    cell: int
    centroid_px: Place
    box_px: Box
    whole: bool
    values: dict[str, float | None]


class FeatureName(ResponseModel):
    """What a feature is; low, high: the values that the ends of the colours stand for, null where no cell has one."""

    label: str
    unit: str
    definition: str
    low: float | None
    high: float | None


class CellPage(ResponseModel):
    """Every cell of a frame with its features; colours: of `cells.png?colour_by=`, from low to high."""

    frame_id: str
    shape_px: Pair
    features: dict[str, FeatureName]
    colours: list[str]
    no_value_colour: str
    cells: list[CellItem]


class ToldLine(ResponseModel):
    """What became of the notification at one receiver."""

    receiver: str
    state: str
    at: Moment | None
    last_error: str


class AlarmItem(ResponseModel):
    """An alarm that is not normal.

    what: the cause as it was seen; likely_cause, consequence, action: of its rule; waiting: what operators did that has
    no effect yet; can: what can be done to it now.
    """

    flask: str
    channel: str
    status: str
    unseen: bool
    priority: str
    since: Moment
    by: str
    why: str
    onset_at: Moment | None
    raised_at: Moment | None
    frame_id: str | None
    what: str
    likely_cause: str
    consequence: str
    action: str
    respond_by: Moment | None
    shelved_until: Moment | None
    told: list[ToldLine]
    waiting: list[str]
    can: list[str]


class AlarmPage(ResponseModel):
    """Alarms that are not normal, unseen and urgent ones first."""

    now: Moment
    items: list[AlarmItem]
    next: str | None
    open_alarms: int
    unseen_alarms: int
    suppressed: int


class AlarmWords(ResponseModel):
    """An alarm for somebody who is woken by it: headings and sentences, in the order of reading."""

    flask: str
    channel: str
    words: dict[str, str]


class AlarmEvent(ResponseModel):
    """Something that happened to an alarm; state as in `AlarmState`."""

    event_id: str
    alarm_id: str
    flask: str
    channel: str
    state: str
    at: Moment
    priority: str
    cause: str
    by: str
    frame_id: str | None


class HistoryPage(ResponseModel):
    """What happened to alarms, newest first."""

    items: list[AlarmEvent]
    next: str | None


class BadActor(ResponseModel):
    """How often an alarm came; share: of all that came in the time."""

    flask: str
    channel: str
    raised: int
    share: float
    last_at: Moment


class BadActors(ResponseModel):
    """Alarms by how often they came in the last days of the culture's clock."""

    days: float
    raised: int
    items: list[BadActor]


class Acted(ResponseModel):
    """What became of an action; taken_in: whether it is part of the flask's history by now; status: where it stands."""

    flask: str
    channel: str
    action: str
    by: str
    until: Moment | None
    taken_in: bool
    status: str
    note: str


class WorkerLine(ResponseModel):
    """A process that beats; state: running, loading or back_pressure; told: its own words, such as its engine."""

    name: str
    stage: str
    state: str
    told: dict[str, str]


class QueueLine(ResponseModel):
    """A stream and what waits in it."""

    stream: str
    waiting: int


class EngineLine(ResponseModel):
    """What segmented the newest frame, and how it agreed with the reference engine."""

    engine: str
    engine_digest: str
    weights_digest: str
    parity: dict[str, Any] | None
    frame_id: str
    at: Moment


class Health(ResponseModel):
    """How the installation is.

    lag_s: how long the oldest frame without a result has waited; frames_per_hour: of the last hour by arrival;
    server: the queue server, null when none runs; files: of the ledger, by state; deliveries: by state.
    """

    now: Moment
    running: bool
    server: str | None
    workers: list[WorkerLine]
    queues: list[QueueLine]
    lag_s: float
    waiting_frames: int
    frames_per_hour: int
    estimates: int
    failures: int
    files: dict[str, int]
    deliveries: dict[str, int]
    dead_letters: int | None
    quarantined: int
    engine: EngineLine | None
    disk_free_gib: float
    alarms: list[TileAlarm]
    versions: dict[str, str]
    digests: dict[str, str]
    audit_broken_at: int | None
    audit_lines: int


class DeadLetterItem(ResponseModel):
    """What no worker could bring to an end; can_requeue: whether it can be put into the queue again."""

    id: str
    kind: Literal["frame_failed", "parked", "unreadable"]
    stage: str
    reason: str
    detail: str
    frame_id: str | None
    flask: str | None
    source: str | None
    since: Moment
    can_requeue: bool


class DeadLetters(ResponseModel):
    """Dead letters, oldest first; available: whether the queue can be request."""

    items: list[DeadLetterItem]
    next: str | None
    available: bool


class Requeued(ResponseModel):
    """A dead letter that is in the queue again."""

    id: str
    stream: str
    note: str


class QuarantinedFile(ResponseModel):
    """A file that did not become a frame; reason: a code; detail: a sentence with the mend."""

    id: int
    source: str
    reason: str
    detail: str
    size_bytes: int
    first_seen: Moment
    preview_url: str | None


class QuarantinePage(ResponseModel):
    """Files in quarantine, newest first."""

    items: list[QuarantinedFile]
    next: str | None
    total: int


class AuditItem(ResponseModel):
    """A line of the audit log; kind: acted, moved, withdrawn or did."""

    number: int
    written_at: Moment
    kind: str
    flask: str
    channel: str | None
    by: str
    text: str
    hash: str


class AuditPage(ResponseModel):
    """The audit log, newest first; broken_at: first line that was changed by hand, null when none was."""

    items: list[AuditItem]
    next: str | None
    total: int
    broken_at: int | None


class UserItem(ResponseModel):
    """Somebody who may sign in."""

    name: str
    role: Literal["viewer", "operator", "admin"]
    created_at: Moment
    last_seen_at: Moment | None
    tokens: list["TokenItem"]


class TokenItem(ResponseModel):
    """A token for scripts, by its name; the token itself is kept nowhere."""

    name: str
    created_at: Moment
    last_used_at: Moment | None


class UserPage(ResponseModel):
    """Everybody who may sign in."""

    items: list[UserItem]


class NewToken(ResponseModel):
    """A token, shown this one time."""

    user: str
    name: str
    token: str


class Me(ResponseModel):
    """Who asks; how: local, session or token."""

    name: str | None
    role: Literal["viewer", "operator", "admin"] | None
    how: Literal["local", "session", "token"] | None
    csrf: str
    version: str
    live_clients: int


class Live(ResponseModel):
    """That the process answers, or is ready to."""

    status: Literal["ok", "not_ready"]
    reason: str | None = None


class DoneResponse(ResponseModel):
    """That something was done."""

    note: str


class FleetMessage(ResponseModel):
    """Sent on joining `/live`, and whenever flasks came or went: look at everything again."""

    type: Literal["fleet"] = "fleet"
    fleet: FleetResponse


class EstimateMessage(ResponseModel):
    """New or revised estimates of a flask; points: the newest frame in every series, by name: [t, v, low, high]."""

    type: Literal["estimate"] = "estimate"
    flask: str
    tile: Tile
    points: dict[str, Points]
    new_frames: list[str]


class TileMessage(ResponseModel):
    """A tile that changed without a new estimate: it grew stale, or its alarms moved."""

    type: Literal["tile"] = "tile"
    flask: str
    tile: Tile


class AlarmsMessage(ResponseModel):
    """Alarms moved: how many stand, and how many of them nobody has seen; flasks: whose moved."""

    type: Literal["alarms"] = "alarms"
    open: int
    unseen: int
    flasks: list[str]
    machine: Machine


class LiveHeartbeat(ResponseModel):
    """Sent every 15 s: the line is alive; now: of the culture's clock."""

    type: Literal["heartbeat"] = "heartbeat"
    now: Moment
    revision: int
