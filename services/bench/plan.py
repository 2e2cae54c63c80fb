"""What to measure: the options of the command, and what they mean where they are not given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from monitor.engine.choice import ENGINES, REFERENCE
from monitor.errors import SettingsError

T = TypeVar("T")

LEAST_PX, MOST_PX, STRIDE_PX = 64, 2048, 32
SIZES, QUICK_SIZES = (1024, 2048), (1024,)
BATCHES, QUICK_BATCHES = (1, 2, 4, 8, 16), (1, 8)
ROUNDS, QUICK_ROUNDS = 10, 3
LOAD_S, QUICK_LOAD_S = 60.0, 15.0


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What to measure.

    engines: by name, the reference always first; build: make what takes minutes, where it was never built; sizes: sides
    of square frames in pixels, the first one for stages and load; batches: 1 always among them, and an engine runs
    those that it makes; rounds: of every time; parity: hold engines against the reference where no comparison is kept;
    load: run the real processes; load_s: how long frames are offered to them; minutes: no time of an engine is begun
    after so many; pixel_size_um: of the simulated frames, None for the network's own scale.
    """

    engines: tuple[str, ...] = ENGINES
    build: bool = False
    sizes: tuple[int, ...] = SIZES
    batches: tuple[int, ...] = BATCHES
    rounds: int = ROUNDS
    parity: bool = True
    load: bool = True
    load_s: float = LOAD_S
    minutes: float | None = None
    threads: int | None = None
    weights: Path | None = None
    pixel_size_um: float | None = None

    @property
    def side_px(self) -> int:
        """Side of the frames that stages and load are measured with."""
        return self.sizes[0]


def make_plan(
    *,
    engines: str | None = None,
    every: bool = False,
    sizes: str | None = None,
    batches: str | None = None,
    rounds: int | None = None,
    quick: bool = False,
    load: bool = True,
    minutes: float | None = None,
    threads: int | None = None,
    weights: Path | None = None,
    pixel_size_um: float | None = None,
) -> BenchPlan:
    """Return the plan of the options as they were written.

    Parameters
    ----------
    engines
        Names, comma between; those are built where needed. Without names every engine that is there is measured.
    every
        Build every engine that can be built here.
    quick
        One size, two batches, three rounds, a short load, no comparison that is not kept.

    Raises
    ------
    SettingsError
        An option is not understood; says which and what to write.
    """
    named = _listed("--engines", engines, str, ENGINES)
    for name in named:
        if name not in ENGINES:
            message = f"--engines: there is no engine {name!r}; choose among {', '.join(ENGINES)}"
            raise SettingsError(message, reason="engines")
    plan = BenchPlan(
        engines=(REFERENCE, *(name for name in named if name != REFERENCE)),
        build=every or engines is not None,
        sizes=_listed("--sizes", sizes, int, QUICK_SIZES if quick else SIZES),
        batches=tuple(sorted({1, *_listed("--batches", batches, int, QUICK_BATCHES if quick else BATCHES)})),
        rounds=(QUICK_ROUNDS if quick else ROUNDS) if rounds is None else rounds,
        parity=not quick,
        load=load,
        load_s=QUICK_LOAD_S if quick else LOAD_S,
        minutes=minutes,
        threads=threads,
        weights=weights,
        pixel_size_um=pixel_size_um,
    )
    _check(plan)
    return plan


def _check(plan: BenchPlan) -> None:
    for size in plan.sizes:
        if size % STRIDE_PX or not LEAST_PX <= size <= MOST_PX:
            message = (
                f"--sizes: frames of {size} px cannot be measured; write multiples of {STRIDE_PX} from {LEAST_PX} to "
                f"{MOST_PX}: larger frames go through the network in tiles of {MOST_PX}"
            )
            raise SettingsError(message, reason="sizes")
    if any(batch < 1 for batch in plan.batches):
        raise SettingsError("--batches: a batch holds 1 frame or more, such as 1,4,16", reason="batches")
    if plan.rounds < 1:
        raise SettingsError(f"--rounds {plan.rounds}: measure at least once", reason="rounds")


def _listed(option: str, text: str | None, kind: Callable[[str], T], otherwise: tuple[T, ...]) -> tuple[T, ...]:
    """Return the parts of a comma-separated text without repeats, in their order."""
    if text is None:
        return otherwise
    try:
        found = tuple(dict.fromkeys(kind(part.strip()) for part in text.split(",") if part.strip()))
    except ValueError as error:
        raise SettingsError(f"{option} {text!r}: write whole numbers with commas between", reason="option") from error
    if not found:
        raise SettingsError(f"{option} is empty; leave it out, or write values with commas between", reason="option")
    return found
