"""How past good runs looked, hour by hour: what a flask's cells are compared with at the same age.

The unit is the run: within a run frames are alike, so that a thousand frames of one run say as much as one run does.
Each run gives one median per feature and hour; centre and deviation are those of the runs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

RUNS_LEAST = 3
"""Fewer runs say nothing of how much good runs differ."""
SD_LEAST = 0.02
"""Least deviation between runs, as a share of the centre: three alike runs do not make the next one strange."""

Numbers = tuple[float, ...]


class ReferenceTrajectory(BaseModel):
    """Centre and deviation of each feature at each age.

    hours: middle of each time bin, ascending and `bin_h` apart; runs: how many runs each bin rests on; centre, sd: per
    feature, one value per bin, in the feature's unit; made_of: names of the runs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    bin_h: Annotated[float, Field(gt=0.0)]
    hours: Annotated[Numbers, Field(min_length=1)]
    runs: tuple[int, ...]
    centre: Annotated[dict[str, Numbers], Field(min_length=1)]
    sd: dict[str, Numbers]
    made_of: tuple[str, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        wanted = len(self.hours)
        lengths = {len(self.runs), *(len(c) for c in self.centre.values()), *(len(sd) for sd in self.sd.values())}
        if lengths != {wanted} or set(self.centre) != set(self.sd):
            raise ValueError("hours, runs, centre and sd of a reference do not fit together; make it again")
        if min(self.runs) < RUNS_LEAST or any(sd <= 0.0 for sds in self.sd.values() for sd in sds):
            raise ValueError(f"a reference needs {RUNS_LEAST} runs at every hour and deviations above zero")
        return self

    @classmethod
    def of(cls, runs: Mapping[str, Sequence[tuple[float, Mapping[str, float]]]], bin_h: float = 2.0) -> Self:
        """Make a reference from runs: for each its frames as (age in hours, population features).

        Only medians of cell features are kept, and only hours at which enough runs were seen.

        Raises
        ------
        ValueError
            There are fewer runs than `RUNS_LEAST`, or none of their hours coincide.
        """
        if len(runs) < RUNS_LEAST:
            raise ValueError(f"{len(runs)} runs are too few for a reference; take {RUNS_LEAST} or more, better ten")
        names = sorted({n for frames in runs.values() for _, found in frames for n in found if n.endswith("_median")})
        medians = {name: _by_bin(frames, names, bin_h) for name, frames in runs.items()}
        bins = sorted({b for found in medians.values() for b in found})
        stacks = {b: np.array([found[b] for found in medians.values() if b in found]) for b in bins}
        kept = [b for b in bins if len(stacks[b]) >= RUNS_LEAST]
        whole = [i for i in range(len(names)) if all(np.isfinite(stacks[b][:, i]).all() for b in kept)]
        if not kept or not whole:
            raise ValueError("the runs share no hour or no feature; are they of one kind, with frames of cells?")
        centre = {names[i]: tuple(float(np.median(stacks[b][:, i])) for b in kept) for i in whole}
        return cls(
            bin_h=bin_h,
            hours=tuple((b + 0.5) * bin_h for b in kept),
            runs=tuple(len(stacks[b]) for b in kept),
            centre=centre,
            sd={names[i]: _deviations([stacks[b][:, i] for b in kept], centre[names[i]]) for i in whole},
            made_of=tuple(sorted(runs)),
        )

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a reference from its file; raises `ValueError` that names it."""
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise ValueError(f"reference {file} cannot be read: {error.strerror}") from error
        except ValueError as error:
            message = f"reference {file} is none: {error}; make it with `cellvigil train reference`"
            raise ValueError(message) from error

    def covers(self, hour: float) -> bool:
        """Whether good runs were seen at an age."""
        return self.hours[0] - self.bin_h <= hour <= self.hours[-1] + self.bin_h

    def tables(self) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
        """Return the features' names, and (B, F) centres and deviations."""
        names = tuple(self.centre)
        return names, np.array([self.centre[n] for n in names]).T, np.array([self.sd[n] for n in names]).T


def _by_bin(
    frames: Sequence[tuple[float, Mapping[str, float]]], names: Sequence[str], bin_h: float
) -> dict[int, NDArray[np.float64]]:
    rows: dict[int, list[list[float]]] = {}
    for hour, found in frames:
        rows.setdefault(int(hour // bin_h), []).append([found.get(name, np.nan) for name in names])
    return {b: np.median(np.array(values), axis=0) for b, values in rows.items()}


def _deviations(runs: Sequence[NDArray[np.float64]], centre: Numbers) -> Numbers:
    """Return the deviation between runs per bin, pooled with its neighbours: it changes slowly, and runs are few."""
    variances = np.array([np.var(values, ddof=1) for values in runs])
    padded = np.pad(variances, 1, mode="edge")
    pooled = np.sqrt((padded[:-2] + padded[1:-1] + padded[2:]) / 3.0)
    least = np.maximum(SD_LEAST * np.abs(centre), 1e-9)
    return tuple(np.maximum(pooled, least).tolist())
