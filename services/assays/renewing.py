"""The command that makes a new version of a model from later results: judged first, signed, and never silent."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from monitor.culture.rows import FrameRow
from monitor.errors import SettingsError
from monitor.potency.bundle import MANIFEST
from monitor.potency.pooled import pooled
from monitor.potency.recalibration import METHOD, Evidence, Recalibration, least_flasks, recalibrate
from monitor.potency.version import SignOff, ancestors, write_version
from services.assays.facts import ModelRecalibrated
from services.assays.linking import features_of, rows_by_id
from services.assays.log import AssayLog
from services.assays.models import KnownModel
from services.assays.score import Recorded, recorded_results, scored
from services.assays.words import coverage_in_words, models_of, say
from services.demo_model import warn_of_demo
from services.state_folder import recorded_state
from services.store.record_sqlite import SqliteRecord
from services.whole_file import write_whole

AGAIN = 1e-6
"""How near the estimate of stored frames comes to the one that was shown, beside a relative 1e-5."""


def recalibrate_command(
    folder: Path,
    out: Path,
    states: Sequence[Path],
    signed_by: str,
    reason: str,
    biomarker: str | None,
    json_file: Path | None,
) -> int:
    """Write a new version where left-out flasks bear it out; return 1, and write none, where they do not."""
    console = Console()
    _check(out, signed_by, reason)
    model = KnownModel(folder)
    names = _names(model, biomarker)
    recorded = _of_versions(model, scored(recorded_results(states)))
    judged: dict[str, Recalibration] = {}
    used: dict[str, list[Recorded]] = {}
    for name in names:
        own = [one for one in recorded if one.result.biomarker == name]
        flasks, needed = len({one.unit for one in own}), least_flasks(model.nominal(name))
        if flasks < needed:
            say(console, f"{name}: results of {flasks} flasks are too few to recalibrate; {needed} are needed at least")
            continue
        judged[name] = recalibrate(_evidence(model, name, own), model.bundle.calibration.intervals[name])
        used[name] = own
        _tell(console, name, judged[name])
    if json_file is not None:
        found = {name: one.model_dump(mode="json") for name, one in judged.items()}
        text = json.dumps({"biomarkers": found, "method": METHOD}, indent=1, allow_nan=False) + "\n"
        write_whole(json_file, text.encode())
    warn_of_demo(console, models_of(one.result for one in recorded))
    better = {name: one for name, one in judged.items() if one.better}
    if not better:
        say(console, f"no new version was written; {folder} stays as it is")
        return 1
    sign_off = SignOff(signed_by=signed_by, at=datetime.now(UTC), reason=reason)
    new = write_version(
        folder, out, {name: one.interval for name, one in better.items()}, sign_off, _grounds(better, used)
    )
    fact = ModelRecalibrated(
        model=new.digest,
        parent=model.digest,
        biomarkers=tuple(better),
        by=signed_by,
        recorded_at=sign_off.at,
        reason=reason,
    )
    for state in states:
        with AssayLog(recorded_state(state).assays) as log, log.writing() as writing:
            writing.add(fact)
    say(console, f"version {new.card['version']} in {out}, digest {new.digest[:12]}, signed by {signed_by}")
    say(
        console,
        f"{folder} (digest {model.digest[:12]}) stays as it is, and stays in use until predictor.model is {out}",
    )
    return 0


def _check(out: Path, signed_by: str, reason: str) -> None:
    for name, text in (("--signed-by", signed_by), ("--reason", reason)):
        if not text.strip():
            message = f"{name} is empty; a version needs somebody who stands for it, and a reason"
            raise SettingsError(message, reason="sign_off")
    if out.exists():
        what = "holds a model already" if (out / MANIFEST).is_file() else "exists"
        raise SettingsError(f"{out} {what}; a version never replaces another, choose a new --out", reason="out")


def _names(model: KnownModel, biomarker: str | None) -> list[str]:
    if biomarker is not None:
        return [model.biomarker(biomarker).name]
    names = [spec.name for spec in model.bundle.spec.biomarkers if spec.kind == "regressor"]
    if not names:
        message = f"{model.folder} tells classes apart and has no intervals; train it again with the new results"
        raise SettingsError(message, reason="biomarker")
    return names


def _of_versions(model: KnownModel, recorded: Sequence[Recorded]) -> list[Recorded]:
    """Return the results that this model foretold, or an earlier version of it, whose trees are the same."""
    versions = {model.digest, *ancestors(model.bundle.card)}
    return [one for one in recorded if one.result.link.provenance.potency_model in versions]


def _evidence(model: KnownModel, name: str, own: Sequence[Recorded]) -> Evidence:
    """Ask the trees again, from the stored features of the frames that each result is linked to."""
    rows: dict[Path, dict[str, FrameRow]] = {}
    for state in {one.state for one in own}:
        with SqliteRecord(recorded_state(state).record, readonly=True) as record:
            rows[state] = rows_by_id(record, {one.result.flask for one in own if one.state == state})
    raw = [model.opened.raw(name, features_of(_frames(one, rows[one.state]), model)) for one in own]
    interval = model.bundle.calibration.intervals[name]
    for one, frames in zip(own, raw, strict=True):
        _check_again(model, one, float(pooled(interval.applied(frames))[1]))
    truth = np.array([one.result.value for one in own], float)
    return Evidence(raw, truth, np.array([one.unit for one in own], str))


def _check_again(model: KnownModel, one: Recorded, again: float) -> None:
    """Refuse stored frames that give another estimate than the one that was shown: something was altered."""
    link = one.result.link
    if link.estimate is None or link.provenance.potency_model != model.digest:
        return
    if not np.isclose(again, link.estimate, atol=AGAIN):
        message = (
            f"the stored frames of flask {one.result.flask!r} do not give the estimate that was shown: {again:.6g} "
            f"instead of {link.estimate:.6g}; restore the record of {one.state} from its backup"
        )
        raise SettingsError(message, reason="replay")


def _frames(one: Recorded, rows: Mapping[str, FrameRow]) -> list[FrameRow]:
    missing = [frame for frame in one.result.link.frames if frame not in rows]
    if missing:
        message = (
            f"frame {missing[0][:12]} behind a result of flask {one.result.flask!r} is not in the record of "
            f"{one.state}; restore it from its backup"
        )
        raise SettingsError(message, reason="replay")
    return [rows[frame] for frame in one.result.link.frames]


def _tell(console: Console, name: str, found: Recalibration) -> None:
    gain, error = found.gain
    say(console, f"{name}, on {found.before.flasks} flasks that were left out one at a time:")
    for word, part, width in zip(("before", "after"), (found.before, found.after), found.width, strict=True):
        say(console, f"  {word}: coverage {coverage_in_words(part)}; bias {part.bias:.3g}; interval {width:.3g} wide")
    verdict = "better" if found.better else "NOT better, so it is not used"
    say(console, f"  the interval score falls by {gain:.3g} (standard error {error:.2g}): {verdict}")


def _grounds(better: dict[str, Recalibration], used: dict[str, list[Recorded]]) -> dict[str, Any]:
    """Return what a version stands on, for its card."""
    return {
        "method": METHOD,
        "biomarkers": {
            name: {
                "before": found.before.model_dump(mode="json"),
                "after": found.after.model_dump(mode="json"),
                "width_before_after": found.width,
                "interval_score_gain_and_error": found.gain,
                "judged_on": "flasks left out one at a time",
                "results": [one.result.result_id for one in used[name]],
            }
            for name, found in better.items()
        },
    }
