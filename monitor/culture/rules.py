"""What each alarm means and asks for, as the rationalisation of ISA-18.2 wants it; a rule without a word is refused."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from monitor.messages import Channel

Priority = Literal["high", "medium", "low"]
Words = Annotated[str, Field(min_length=10, max_length=500)]

HOUR_S = 3600.0


class AlarmRule(BaseModel):
    """One channel's alarm as a person meets it.

    priority: high is for what loses a batch; cause: the likely one; consequence: of doing nothing; action: what to do;
    respond_within_s: in which time, counted from the moment it is raised; latching: it stands until somebody has
    acknowledged it, even when the trouble is over.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    priority: Priority
    cause: Words
    consequence: Words
    action: Words
    respond_within_s: Annotated[float, Field(gt=0.0)]
    latching: bool = False


class AlarmRules(BaseModel):
    """The rule of every channel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    potency: AlarmRule = AlarmRule(
        priority="high",
        cause="the cells lose potency: exhausted medium, crowding, a late passage, contamination",
        consequence="the batch falls below its release limit; what is lost does not come back",
        action="look at the cells now; take a sample for the assay, or harvest or feed early",
        respond_within_s=2.0 * HOUR_S,
        latching=True,
    )
    arrival: AlarmRule = AlarmRule(
        priority="high",
        cause="the microscope stopped, skips this flask, or its folder cannot be reached",
        consequence="nobody watches this flask; a decline would go unseen",
        action="check that the microscope scans this flask and that its folder is reachable",
        respond_within_s=HOUR_S,
    )
    optics: AlarmRule = AlarmRule(
        priority="medium",
        cause="focus drift, condensation on the flask, a lamp or condenser out of place",
        consequence="potency is paused for this flask until its images are sharp and evenly lit again",
        action="refocus, clean condensation off the flask, check the lamp; potency is paused",
        respond_within_s=4.0 * HOUR_S,
    )
    segmentation: AlarmRule = AlarmRule(
        priority="medium",
        cause="images unlike those the network was trained on, debris, or cells too dense to tell apart",
        consequence="counts and potency of this flask are paused, for they would rest on wrong outlines",
        action="look at the overlay; if the images are fine, fine-tune the network on them",
        respond_within_s=8.0 * HOUR_S,
    )
    morphology: AlarmRule = AlarmRule(
        priority="medium",
        cause="the cells look unlike the reference runs at this hour: other medium, other donor, another state",
        consequence="potency rests on shapes that the model may not know",
        action="compare the cells with the reference run of the same hour",
        respond_within_s=8.0 * HOUR_S,
    )
    positions: AlarmRule = AlarmRule(
        priority="medium",
        cause="a position was taken out of the scan, or its images are not written or not readable",
        consequence="fewer fields stand for the flask, so that its estimates say less",
        action="compare the microscope's list of positions with the folder; look into quarantine",
        respond_within_s=8.0 * HOUR_S,
    )
    frozen: AlarmRule = AlarmRule(
        priority="medium",
        cause="the camera or its software writes one picture again under new names",
        consequence="nobody watches this flask, though files come; a decline would go unseen",
        action="look at the live view; restart the acquisition",
        respond_within_s=HOUR_S,
    )
    lag: AlarmRule = AlarmRule(
        priority="medium",
        cause="more frames come than this machine works off, or a worker hangs",
        consequence="estimates and alarms come late by as much as the queue is long",
        action="look at `cellvigil status` and the logs; add workers or lengthen the interval",
        respond_within_s=4.0 * HOUR_S,
    )
    clock: AlarmRule = AlarmRule(
        priority="low",
        cause="the clock of the microscope's computer and that of this machine differ",
        consequence="times of frames are wrong, and silence is noticed too early or too late",
        action="set both clocks by the same time server",
        respond_within_s=24.0 * HOUR_S,
    )
    disk: AlarmRule = AlarmRule(
        priority="medium",
        cause="frames, label images or logs fill the disk",
        consequence="when it is full nothing is recorded and the microscope cannot write",
        action="free some space or move old runs away",
        respond_within_s=4.0 * HOUR_S,
    )
    delivery: AlarmRule = AlarmRule(
        priority="low",
        cause="the daily test of the way to people",
        consequence="if it does not come, alarms do not come either",
        action="nothing to do; when it stays away, look at `cellvigil alarms deliveries`",
        respond_within_s=24.0 * HOUR_S,
    )


class _Rules(Mapping[Channel, AlarmRule]):
    def __init__(self, rules: AlarmRules) -> None:
        self._rules = rules

    def __getitem__(self, channel: Channel) -> AlarmRule:
        found: AlarmRule = getattr(self._rules, channel.value)
        return found

    def __iter__(self) -> Iterator[Channel]:
        return (Channel(name) for name in AlarmRules.model_fields)

    def __len__(self) -> int:
        return len(AlarmRules.model_fields)


def rules_by_channel(rules: AlarmRules) -> Mapping[Channel, AlarmRule]:
    """Return the rules by their channel.

    >>> rules_by_channel(AlarmRules())[Channel.POTENCY].latching
    True
    """
    return _Rules(rules)


RULES = rules_by_channel(AlarmRules())
"""The rules as they are when the settings say nothing else."""

UPSTREAM: dict[Channel, tuple[Channel, ...]] = {
    Channel.OPTICS: (Channel.ARRIVAL, Channel.FROZEN),
    Channel.SEGMENTATION: (Channel.ARRIVAL, Channel.FROZEN, Channel.OPTICS),
    Channel.MORPHOLOGY: (Channel.ARRIVAL, Channel.FROZEN, Channel.OPTICS, Channel.SEGMENTATION),
    Channel.POTENCY: (Channel.ARRIVAL, Channel.FROZEN, Channel.OPTICS, Channel.SEGMENTATION),
}
"""Channels whose trouble makes another one impossible to judge for that flask. Not morphology above potency: a loss of
potency is a change of shape, and the one must not hide the other."""
