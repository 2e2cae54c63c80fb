"""What a worker is: a stage that turns a batch of messages into one outcome each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from monitor.errors import CellvigilError
from monitor.messages import Message


@dataclass(frozen=True, slots=True)
class Publication:
    """A message for a stream; `key` makes it once only: a second publication of a key is a no-op."""

    stream: str
    key: str
    message: Message


@dataclass(frozen=True, slots=True)
class Done:
    """The input is finished; its outputs are published and the input acknowledged in one step."""

    outputs: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True)
class Retry:
    """The input could not be finished now; it stays pending and is delivered again."""

    error: CellvigilError


@dataclass(frozen=True, slots=True)
class Reject:
    """The input can never be finished; it goes to the dead letters with its reason."""

    error: CellvigilError


Outcome = Done | Retry | Reject

In = TypeVar("In", bound=Message, contravariant=True)


class Stage(Protocol[In]):
    """One kind of work. The runner owns reading, batching, publishing, acknowledging and every retry.

    `process` returns one outcome per input, in order; it may raise only for faults that concern the whole worker.
    """

    @property
    def name(self) -> str:
        """Short name: consumer group, log field, heartbeat key."""

    def warm_up(self) -> None:
        """Load models and run them once; called before the first read."""

    def describe(self) -> dict[str, str]:
        """Return what a status display should say of this worker, known after `warm_up`; empty when nothing."""

    def prefetch(self, batch: Sequence[In]) -> None:
        """Take the hint that these inputs come next, and start reading them; must not block or fail."""

    def process(self, batch: Sequence[In]) -> list[Outcome]:
        """Return one outcome per input, in order."""
