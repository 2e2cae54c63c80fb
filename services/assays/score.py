"""From recorded results to the agreement of every biomarker, at whole, of late, and by model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict

from monitor.potency.agreement import Agreement, Measured, RollingPoint, agreement, rolling_coverage
from services.assays.facts import AssayResult
from services.assays.log import read_facts
from services.assays.standing import Courses
from services.state_folder import recorded_state


@dataclass(frozen=True, slots=True)
class Recorded:
    """A result that counts, its state folder, and its flask, told apart from those of that name in other folders."""

    result: AssayResult
    state: Path
    unit: str


class DatedPoint(RollingPoint):
    """Coverage over the last results up to one that was sampled `at`."""

    at: AwareDatetime


class BiomarkerAgreement(BaseModel):
    """How estimates of one biomarker agree with results.

    results: that count, assessed or not; not_assessable: without an estimate, listed and not scored; whole: all that
    were scored; last: the last of them; by_model: by the digest of the model that made the estimates; rolling: in the
    order of sampling.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    biomarker: str
    unit: str
    results: int
    not_assessable: int
    whole: Agreement
    last: Agreement
    by_model: dict[str, Agreement]
    rolling: tuple[DatedPoint, ...]


def recorded_results(states: Sequence[Path]) -> list[Recorded]:
    """Return the results of state folders that count, ordered by the time of the sample."""
    found = []
    for folder in dict.fromkeys(path.resolve() for path in states):
        before = f"{folder}: " if len(states) > 1 else ""
        standing = Courses(read_facts(recorded_state(folder).assays)).standing()
        found += [Recorded(result, folder, before + result.flask) for result in standing]
    return sorted(found, key=lambda r: (r.result.at, r.unit, r.result.biomarker))


def scored(recorded: Sequence[Recorded]) -> list[Recorded]:
    """Return the results that had an estimate."""
    return [one for one in recorded if one.result.link.estimate is not None]


def measured_of(recorded: Sequence[Recorded]) -> Measured:
    """Return results that had an estimate as arrays."""
    links = [one.result.link for one in recorded]
    answer = np.array([(link.low, link.estimate, link.high) for link in links], float).reshape(-1, 3)
    truth = np.array([one.result.value for one in recorded], float)
    return Measured(truth, answer, np.array([one.unit for one in recorded], str))


def score(recorded: Sequence[Recorded], last: int) -> list[BiomarkerAgreement]:
    """Return the agreement of every biomarker, by name; the rolling coverage is over the `last` results."""
    names = sorted({one.result.biomarker for one in recorded})
    return [_score(name, [one for one in recorded if one.result.biomarker == name], last) for name in names]


def _score(name: str, recorded: Sequence[Recorded], last: int) -> BiomarkerAgreement:
    known = scored(recorded)
    nominal = recorded[-1].result.link.nominal
    measured = measured_of(known)
    models = np.array([one.result.link.provenance.potency_model for one in known], str)
    points = zip(rolling_coverage(measured, last), known, strict=True)
    return BiomarkerAgreement(
        biomarker=name,
        unit=recorded[-1].result.unit,
        results=len(recorded),
        not_assessable=len(recorded) - len(known),
        whole=agreement(measured, nominal),
        last=agreement(measured.part(slice(max(0, len(measured) - last), None)), nominal),
        by_model={str(m): agreement(measured.part(models == m), nominal) for m in dict.fromkeys(models.tolist())},
        rolling=tuple(DatedPoint(**point.model_dump(), at=one.result.at) for point, one in points),
    )
