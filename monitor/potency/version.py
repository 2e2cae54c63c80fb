"""The next version of a model: the same trees with other intervals, and a card that says who signed it and why."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from monitor.errors import ModelRefused
from monitor.potency.bundle import read_bundle, read_golden, verify_bundle
from monitor.potency.calibration import Interval
from monitor.potency.model import PotencyModel, load_model, write_bundle
from monitor.potency.place import whole_folder

HISTORY = "recalibrations"
"""In the card: a row for every version after the first, oldest first."""


class SignOff(BaseModel):
    """Who made a version, when (UTC), and why; a name that was written down, no cryptographic signature."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signed_by: str
    at: datetime
    reason: str


def write_version(
    parent: Path, out: Path, intervals: Mapping[str, Interval], sign_off: SignOff, grounds: Mapping[str, Any]
) -> PotencyModel:
    """Write a model folder with other intervals; return the model, loaded and rehearsed as any other.

    The folder appears whole or not at all, and the parent stays as it is. `grounds` go into the card beside the
    sign-off: method, results and coverage before and after.

    Raises
    ------
    ModelRefused
        `digest` when the parent was altered; `exists` when there is something at `out`.
    """
    digest = verify_bundle(parent)
    bundle = read_bundle(parent)
    if out.exists():
        message = f"{out} exists; a version never replaces another, choose a new folder"
        raise ModelRefused(message, reason="exists")
    history = [*bundle.card.get(HISTORY, []), {"parent": digest, **sign_off.model_dump(mode="json"), **grounds}]
    calibration = bundle.calibration.model_copy(update={"intervals": bundle.calibration.intervals | dict(intervals)})
    card = dict(bundle.card) | {"version": 1 + len(history), HISTORY: history}
    new = replace(bundle, calibration=calibration, card=card)
    with whole_folder(out) as made:
        write_bundle(made, new, np.array(read_golden(parent)["rows"], float))
        model = load_model(made)
    return model


def ancestors(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the digests of the versions before this one, oldest first; all of them have the same trees."""
    return tuple(str(row["parent"]) for row in card.get(HISTORY, []))
