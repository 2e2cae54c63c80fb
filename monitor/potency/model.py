"""A potency model: answers for every biomarker of a row, or the reason why there is none.

It is opened only after every digest fits, and after a child process has loaded it and given its golden answers again.
"""

import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ModelRefused
from monitor.messages import EstimateState, FrameEstimate, FrameQuality
from monitor.potency.biomarker import QUANTILES, Biomarker
from monitor.potency.bundle import MANIFEST, Bundle, read_bundle, read_golden, verify_bundle, write_files
from monitor.potency.conditions import Value

__all__ = ["DEMO", "MANIFEST", "QUANTILES", "PotencyModel", "load_model", "verify_bundle", "write_bundle"]

Matrix = NDArray[np.float64]
DEMO = Path(__file__).parent / "demo_model"
"""The model that comes with the package: trained on simulated cultures only, never for a decision on real cells."""
UNFAMILIAR = "outside_training_range"
"""The reason of rows that are unlike the training rows."""
REHEARSAL_S = 120.0
GOLDEN_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row is not assessable: a code for tables, and a sentence."""

    reason: str
    sentence: str


class PotencyModel:
    """Predicts biomarkers from population features, or says why it cannot.

    Rows are (N, F) float64 in the order of `contract.features`, in the units of the catalogue.

    Parameters
    ----------
    biomarkers
        By name.
    bundle
        What is stored of the model.
    digest
        Of its manifest.
    """

    def __init__(self, biomarkers: Mapping[str, Biomarker], bundle: Bundle, digest: str) -> None:
        self.biomarkers = biomarkers
        self.spec = bundle.spec
        self.calibration = bundle.calibration
        self.contract = bundle.contract
        self.card = bundle.card
        self.digest = digest
        self.calibration_digest = hashlib.sha256(self.calibration.model_dump_json().encode()).hexdigest()
        features = self.contract.features
        self._familiar = np.array([features.index(name) for name in self.calibration.familiarity.features], np.intp)

    @cached_property
    def live_biomarker(self) -> Biomarker:
        """The biomarker that is the potency of a frame: the index, or the only one.

        Returns
        -------
        Biomarker
            One with values in numbers.

        Raises
        ------
        ModelRefused
            `contract`, with the mend, when frames cannot serve the model or it has no single potency in numbers.
        """
        self.contract.check_live()
        indices = [part for part in self.biomarkers.values() if part.spec.index is not None]
        chosen = indices or list(self.biomarkers.values())
        if len(chosen) != 1:
            message = (
                f"the potency model has {len(chosen)} biomarkers and no index, so it does not say which is the potency "
                "of a flask; train it with --index, or with one biomarker"
            )
            raise ModelRefused(message, reason="contract")
        if chosen[0].spec.kind != "regressor":
            message = (
                f"the potency model tells classes of {chosen[0].spec.name!r} apart and gives no potency with an "
                "interval; use it with `cellvigil predict`, or train on a measured value"
            )
            raise ModelRefused(message, reason="contract")
        return chosen[0]

    def estimate(
        self,
        features: Mapping[str, float],
        quality: FrameQuality,
        n_cells: int,
        *,
        min_cells: int,
        conditions: Mapping[str, Value] | None = None,
    ) -> FrameEstimate:
        """Return the estimate of one frame; not assessable, with the reason, where the model knows nothing.

        Parameters
        ----------
        features
            Of the frame, by name.
        quality
            Whether the frame should be relied on.
        n_cells
            Cells on it.
        min_cells
            A frame with fewer is not assessable; neither is one with fewer than the model asks for.
        conditions
            What the sample list says of the flask: stimulation, medium, passage, hours since seeding.

        Returns
        -------
        FrameEstimate
            In the unit of the biomarker.

        Raises
        ------
        ModelRefused
            As `live_biomarker`.
        """
        if not quality.passes:
            return _refused(quality.reason or "quality")
        if n_cells < max(min_cells, self.spec.min_cells):
            return _refused("too_few_cells")
        row = self.contract.row(features)
        if row is None:
            return _refused("missing_features")
        refusal = self.refusal(row, {"confluency": features.get("confluency")} | dict(conditions or {}))
        if refusal is not None:
            return _refused(refusal.reason)
        low, middle, high = self.live_biomarker.answers(self._adjusted(row[None]))[0]
        return FrameEstimate(state=EstimateState.OK, potency=middle, low=low, high=high)

    def refusal(self, row: Matrix, conditions: Mapping[str, Value]) -> Refusal | None:
        """Return why one row cannot be assessed.

        Parameters
        ----------
        row
            (F,) float64.
        conditions
            As in `estimate`, and confluency.

        Returns
        -------
        Refusal or None
            None where it can be.
        """
        return self.refusals(row[None], [conditions])[0]

    def refusals(self, rows: Matrix, conditions: Sequence[Mapping[str, Value]]) -> list[Refusal | None]:
        """Return why rows cannot be assessed.

        Parameters
        ----------
        rows
            (N, F) float64.
        conditions
            As in `refusal`, of each row.

        Returns
        -------
        list of Refusal or None
            None for a row that can be.
        """
        familiarity = self.calibration.familiarity
        seen = rows[:, self._familiar]
        far = familiarity.distances(seen) > familiarity.limit
        strangest = iter(familiarity.strangest(seen[far])) if far.any() else iter(())
        measured = np.isfinite(rows)
        found: list[Refusal | None] = []
        for number, known in enumerate(conditions):
            strange = next(strangest) if far[number] else ""
            if not measured[number].all():
                missing = self.contract.features[int(np.argmin(measured[number]))]
                found.append(Refusal("missing_features", f"{missing} was not measured"))
            elif (told := self.spec.conditions.refusal(known)) is not None:
                found.append(Refusal(*told))
            elif far[number]:
                found.append(Refusal(UNFAMILIAR, f"unlike the training rows, most of all in {strange}"))
            else:
                found.append(None)
        return found

    def answers(self, rows: Matrix) -> dict[str, Matrix]:
        """Return what is said of rows, calibrated.

        Parameters
        ----------
        rows
            (N, F) float64.

        Returns
        -------
        dict of str to array
            By biomarker (N, 3) low, middle, high in its unit, or (N, 1) probabilities.
        """
        adjusted = self._adjusted(rows)
        return {name: part.answers(adjusted) for name, part in self.biomarkers.items()}

    def raw(self, name: str, rows: Matrix) -> Matrix:
        """Return what the trees of one biomarker say before calibration; see `Biomarker.raw`.

        Parameters
        ----------
        name
            Of the biomarker.
        rows
            (N, F) float64.

        Returns
        -------
        array
            (N, heads) float64.
        """
        return self.biomarkers[name].raw(self._adjusted(rows))

    def contributions(self, name: str, rows: Matrix) -> Matrix:
        """Return what each feature adds to the answer of one biomarker.

        Parameters
        ----------
        name
            Of the biomarker.
        rows
            (N, F) float64.

        Returns
        -------
        array
            (N, F) float64, in the unit of the trees.
        """
        return self.biomarkers[name].contributions(self._adjusted(rows))

    def _adjusted(self, rows: Matrix) -> Matrix:
        adjustment = self.spec.adjustment
        if adjustment is None:
            return rows
        return adjustment.applied(rows[:, self.contract.features.index(adjustment.column)], rows)


def _refused(reason: str) -> FrameEstimate:
    return FrameEstimate(state=EstimateState.NOT_ASSESSABLE, reason=reason)


def open_bundle(bundle: Bundle, digest: str) -> PotencyModel:
    """Parse the trees of a bundle; only what was verified, or was made here, comes this far."""
    import lightgbm

    biomarkers = {}
    for spec in bundle.spec.biomarkers:
        boosters = {head: lightgbm.Booster(model_str=bundle.trees[file]) for head, file in spec.files.items()}
        calibration = bundle.calibration
        meaning = calibration.intervals[spec.name] if spec.kind == "regressor" else calibration.probabilities[spec.name]
        biomarkers[spec.name] = Biomarker(spec, boosters, meaning)
    return PotencyModel(biomarkers, bundle, digest)


def write_bundle(folder: Path, bundle: Bundle, golden: Matrix) -> PotencyModel:
    """Write a model folder with its answers to golden rows (N, F); return the model."""
    model = open_bundle(bundle, "")
    answers = {name: found.tolist() for name, found in model.answers(golden).items()}
    model.digest = write_files(folder, bundle, {"rows": golden.tolist(), "answers": answers})
    return model


def load_model(folder: Path = DEMO, *, rehearse: bool = True) -> PotencyModel:
    """Verify and load a model folder.

    Parameters
    ----------
    rehearse
        Try the model in a child process first; only a caller that just did so may leave it out.

    Raises
    ------
    ModelRefused
        `no_model`, `digest`, `format`, `contract` or `rehearsal`: no tree was parsed in this process before that was
        known.
    """
    digest = verify_bundle(folder)
    bundle = read_bundle(folder)
    bundle.contract.check()
    if rehearse:
        _rehearse(folder)
    return open_bundle(bundle, digest)


def load_live_model(folder: Path = DEMO, *, min_fields: int | None = None) -> PotencyModel:
    """Verify and load a model that frames are to be given to; refused where they cannot serve it.

    `min_fields` is how many fields of view a flask needs by the settings; a model that asks for more is refused too.
    """
    model = load_model(folder)
    _ = model.live_biomarker
    if min_fields is not None and model.spec.min_fields > min_fields:
        message = (
            f"the potency model asks for {model.spec.min_fields} fields of view of each flask, the settings for "
            f"{min_fields}; set culture.min_fields to {model.spec.min_fields}"
        )
        raise ModelRefused(message, reason="contract")
    return model


def check_golden_rows(folder: Path) -> bool:
    """Load a verified model and compare its answers with the golden ones; run in a child process."""
    model = load_model(folder, rehearse=False)
    golden = read_golden(folder)
    answers = model.answers(np.array(golden["rows"], float))
    return answers.keys() == golden["answers"].keys() and all(
        np.allclose(found, np.array(golden["answers"][name]), rtol=0.0, atol=GOLDEN_TOLERANCE)
        for name, found in answers.items()
    )


def _rehearse(folder: Path) -> None:
    program = (
        "import sys, pathlib; from monitor.potency.model import check_golden_rows; "
        "sys.exit(0 if check_golden_rows(pathlib.Path(sys.argv[1])) else 3)"
    )
    try:
        child = subprocess.run(
            [sys.executable, "-c", program, str(folder)], capture_output=True, timeout=REHEARSAL_S, check=False
        )
        code = child.returncode
    except subprocess.TimeoutExpired:
        code = -1
    if code != 0:
        message = f"the potency model in {folder} fails on its own golden rows (child exit {code}); do not use it"
        raise ModelRefused(message, reason="rehearsal")
