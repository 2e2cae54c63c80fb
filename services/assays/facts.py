"""What is written down about later results: frozen rows that are added and never changed."""

import hashlib
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from monitor.frames.identity import FrameId, Name
from monitor.messages import Digest, EstimateState, Fact, Provenance

Text = Annotated[str, Field(max_length=2000)]
Person = Annotated[str, Field(min_length=1, max_length=200)]


class Link(Fact):
    """The estimate that foretold a result, as it stood when the result was recorded.

    frames: those behind it, oldest first, empty where none could be assessed; as_of: the newest frame up to the time
    of the result; low, estimate, high: in the result's unit, None unless `state` is ok; nominal: coverage that the
    interval promises; replayed: computed from the stored features by the same model, because the monitor shows another
    biomarker; provenance: of the newest frame.
    """

    state: EstimateState
    reason: str | None = None
    frames: tuple[FrameId, ...]
    as_of: FrameId
    as_of_at: AwareDatetime
    low: float | None = None
    estimate: float | None = None
    high: float | None = None
    nominal: Annotated[float, Field(gt=0.0, lt=1.0)]
    replayed: bool
    provenance: Provenance


class AssayResult(Fact):
    """One result of one flask.

    at: when the sample was taken; whole: whether the result is of the flask as it was last seen, no time having been
    given; unit: the model's; supersedes, reason: of a correction, whose predecessor stays where it is.
    """

    kind: Literal["result"] = "result"
    result_id: Digest
    flask: Name
    biomarker: Name
    value: float
    unit: str
    at: AwareDatetime
    whole: bool
    link: Link
    by: Person
    recorded_at: AwareDatetime
    comment: Text = ""
    source: Text = ""
    supersedes: Digest | None = None
    reason: Text = ""

    @property
    def subject(self) -> tuple[str, str, str]:
        """What was measured: flask, biomarker, and the time or "" for the flask as it was last seen."""
        return self.flask, self.biomarker, "" if self.whole else self.at.isoformat()

    @property
    def inside(self) -> bool | None:
        """Whether the interval holds the result; None where there was no estimate."""
        if self.link.low is None or self.link.high is None:
            return None
        return self.link.low <= self.value <= self.link.high


class AssayWithdrawn(Fact):
    """A result counts no longer, and nothing takes its place."""

    kind: Literal["withdrawn"] = "withdrawn"
    withdraws: Digest
    by: Person
    recorded_at: AwareDatetime
    reason: Text


class ModelRecalibrated(Fact):
    """A new version of a model was made from results of this record."""

    kind: Literal["recalibrated"] = "recalibrated"
    model: Digest
    parent: Digest
    biomarkers: tuple[str, ...]
    by: Person
    recorded_at: AwareDatetime
    reason: Text


AssayFact = Annotated[AssayResult | AssayWithdrawn | ModelRecalibrated, Field(discriminator="kind")]
ASSAY_FACT: TypeAdapter[AssayFact] = TypeAdapter(AssayFact)


def result_id_of(subject: tuple[str, str, str], value: float, supersedes: str | None) -> str:
    """Return the identity of a result: the same one told twice has the same, a correction has another."""
    text = "\x1f".join(("result", *subject, repr(value), supersedes or ""))
    return hashlib.sha256(text.encode()).hexdigest()


def fact_id_of(fact: AssayFact) -> str:
    """Return the identity by which a fact is stored once."""
    if isinstance(fact, AssayResult):
        return fact.result_id
    parts = ("withdrawn", fact.withdraws) if isinstance(fact, AssayWithdrawn) else ("recalibrated", fact.model)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
