"""What the operator knows about a flask."""

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Sample(BaseModel):
    """A row of `samples.csv`; what was left empty is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    donor: str | None = None
    passage: int | None = None
    medium: str | None = None
    stimulation: str | None = None
    seeded_at: AwareDatetime | None = None
