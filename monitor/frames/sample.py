"""What the operator knows about a flask."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Sample(BaseModel):
    """A row of `samples.csv`; what was left empty is None.

    lot is for tables and no part of a message: it is left out where a sample is written as JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    donor: str | None = None
    passage: int | None = None
    lot: str | None = Field(default=None, exclude=True)
    medium: str | None = None
    stimulation: str | None = None
    seeded_at: AwareDatetime | None = None
