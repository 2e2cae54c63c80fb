"""A potency model in a folder: three boosters, calibration, contract, card; verified before anything is parsed.

An edited LightGBM text model can crash or hang the process that reads it, so the digests are checked first, and the
model is tried on its golden rows in a child process before this one opens it.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ModelRefused
from monitor.messages import EstimateState, FrameEstimate, FrameQuality
from monitor.potency.calibration import Calibration
from monitor.potency.contract import FeatureContract
from monitor.potency.single_row import SingleRowPredictor

if TYPE_CHECKING:
    import lightgbm

DEMO = Path(__file__).parent / "demo_model"
"""The model that comes with the package: trained on simulated cultures only, never for a decision on real cells."""
QUANTILES = {"low": 0.05, "middle": 0.5, "high": 0.95}
MANIFEST = "MANIFEST.json"
REHEARSAL_S = 120.0
GOLDEN_TOLERANCE = 1e-6


class PotencyModel:
    """Predicts the potency of a frame from its population features, or says why it cannot."""

    def __init__(
        self,
        boosters: "Mapping[str, lightgbm.Booster]",
        calibration: Calibration,
        contract: FeatureContract,
        card: Mapping[str, Any],
        digest: str,
    ) -> None:
        self._boosters = boosters
        self._single = {name: SingleRowPredictor(boosters[name]) for name in QUANTILES}
        self._calibration = calibration
        self.contract = contract
        self.card = card
        self.digest = digest

    @property
    def calibration_digest(self) -> str:
        """sha256 of the calibration."""
        return hashlib.sha256(self._calibration.model_dump_json().encode()).hexdigest()

    def estimate(
        self, features: Mapping[str, float], quality: FrameQuality, n_cells: int, *, min_cells: int
    ) -> FrameEstimate:
        """Return the estimate of one frame; not assessable, with the reason, where the model knows nothing."""
        if not quality.passes:
            return _refused(quality.reason or "quality")
        if n_cells < min_cells:
            return _refused("too_few_cells")
        row = self.contract.row(features)
        if row is None:
            return _refused("missing_features")
        if self._calibration.familiarity.distance(self._familiar(features)) > self._calibration.familiarity.limit:
            return _refused("outside_training_range")
        low, middle, high = self.intervals(row[None])[0]
        return FrameEstimate(state=EstimateState.OK, potency=middle, low=low, high=high)

    def intervals(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, 3) low, middle, high of (N, F) rows in the contract's order, sorted, calibrated, in range."""
        raw = np.sort(np.column_stack([self._predicted(name, rows) for name in QUANTILES]), axis=1)
        raw[:, 0] -= self._calibration.offset
        raw[:, 2] += self._calibration.offset
        raw[:, 0] = np.minimum(raw[:, 0], raw[:, 1])
        raw[:, 2] = np.maximum(raw[:, 2], raw[:, 1])
        clipped: NDArray[np.float64] = np.clip(raw, self._calibration.lowest, self._calibration.highest)
        return clipped

    def _predicted(self, name: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(rows) == 1:
            return np.array([self._single[name].predict(rows[0])])
        return np.asarray(self._boosters[name].predict(rows, num_threads=1), np.float64)

    def _familiar(self, features: Mapping[str, float]) -> NDArray[np.float64]:
        return np.array([features[name] for name in self._calibration.familiarity.features], float)


def _refused(reason: str) -> FrameEstimate:
    return FrameEstimate(state=EstimateState.NOT_ASSESSABLE, reason=reason)


def write_bundle(
    folder: Path,
    boosters: Mapping[str, str],
    calibration: Calibration,
    contract: FeatureContract,
    card: Mapping[str, Any],
    golden: NDArray[np.float64],
) -> None:
    """Write a model folder; `boosters` maps the names of `QUANTILES` to LightGBM text models, `golden` is (N, F)."""
    import lightgbm

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in boosters.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    (folder / "calibration.json").write_text(calibration.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / "contract.json").write_text(contract.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / "card.json").write_text(json.dumps(dict(card), indent=1) + "\n", encoding="utf-8")
    loaded = {name: lightgbm.Booster(model_str=text) for name, text in boosters.items()}
    answers = PotencyModel(loaded, calibration, contract, card, "").intervals(golden)
    (folder / "golden.json").write_text(json.dumps({"rows": golden.tolist(), "answers": answers.tolist()}) + "\n")
    digests = {file.name: _sha256(file) for file in sorted(folder.iterdir()) if file.name != MANIFEST}
    (folder / MANIFEST).write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")


def load_model(folder: Path = DEMO, *, rehearse: bool = True) -> PotencyModel:
    """Verify and load a model folder.

    Parameters
    ----------
    rehearse
        Try the model in a child process first; only a caller that just did so may leave it out.

    Raises
    ------
    ModelRefused
        `no_model`, `digest`, `contract` or `rehearsal`: nothing was parsed in this process before that was known.
    """
    digest = verify_bundle(folder)
    contract = FeatureContract.model_validate_json((folder / "contract.json").read_text(encoding="utf-8"))
    contract.check()
    if rehearse:
        _rehearse(folder)
    import lightgbm

    boosters = {name: lightgbm.Booster(model_file=folder / f"{name}.txt") for name in QUANTILES}
    calibration = Calibration.model_validate_json((folder / "calibration.json").read_text(encoding="utf-8"))
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return PotencyModel(boosters, calibration, contract, card, digest)


def verify_bundle(folder: Path) -> str:
    """Compare every file with the manifest; return the digest of the manifest."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        message = f"{folder} is not a potency model (no {MANIFEST}); correct `predictor.model` or train one"
        raise ModelRefused(message, reason="no_model")
    digests = _digests(manifest)
    present = {file.name for file in folder.iterdir() if file.name != MANIFEST}
    for name in sorted(present | set(digests)):
        file = folder / name
        if name not in digests or not file.is_file() or _sha256(file) != digests[name]:
            message = f"{file} is not the file that the model was released with; restore the whole folder"
            raise ModelRefused(message, reason="digest")
    return _sha256(manifest)


def _digests(manifest: Path) -> dict[str, str]:
    try:
        digests = json.loads(manifest.read_text(encoding="utf-8"))
    except ValueError:
        digests = None
    if not isinstance(digests, dict):
        message = f"{manifest} is not the file that the model was released with; restore the whole folder"
        raise ModelRefused(message, reason="digest")
    return digests


def check_golden_rows(folder: Path) -> bool:
    """Load a verified model and compare its answers with the golden ones; run in a child process."""
    model = load_model(folder, rehearse=False)
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    answers = model.intervals(np.array(golden["rows"], float))
    return bool(np.allclose(answers, np.array(golden["answers"]), rtol=0.0, atol=GOLDEN_TOLERANCE))


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


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
