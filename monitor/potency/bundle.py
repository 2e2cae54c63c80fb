"""The files of a potency model: what lies in its folder, and that none of them is another than was released.

    MANIFEST.json     sha256 of every other file
    model.json        biomarkers, conditions, density adjustment, reference medians
    calibration.json  interval widths, probabilities, familiarity
    contract.json     features in order
    card.json         what it is for, what it was made of, what it is worth
    golden.json       rows and the answers to them
    NAME.HEAD.txt     trees of a biomarker, LightGBM's text form

An edited LightGBM text model can crash or hang the process that reads it, so digests come before any parsing.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from monitor.errors import ModelRefused
from monitor.potency.biomarker import BiomarkerSpec
from monitor.potency.calibration import Calibration
from monitor.potency.conditions import Conditions
from monitor.potency.contract import FeatureContract
from monitor.potency.density import DensityAdjustment
from monitor.potency.reference import FeatureReference

MANIFEST = "MANIFEST.json"
GOLDEN = "golden.json"


class ModelSpec(BaseModel):
    """What the trees are for: biomarkers, and the conditions under which they may be asked.

    min_cells, min_fields: a row with fewer cells, or a flask with fewer fields of view, is not assessable; 0 asks
    for nothing. Of live flasks the settings say so (`culture.min_fields`), which have to ask for as many at least.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[2] = 2
    biomarkers: tuple[BiomarkerSpec, ...]
    conditions: Conditions = Conditions()
    adjustment: DensityAdjustment | None = None
    reference: FeatureReference = FeatureReference()
    min_cells: int = 0
    min_fields: int = 0


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model as it is stored; `trees` are LightGBM text models by file name."""

    spec: ModelSpec
    calibration: Calibration
    contract: FeatureContract
    card: Mapping[str, Any]
    trees: Mapping[str, str]


def write_files(folder: Path, bundle: Bundle, golden: Mapping[str, Any]) -> str:
    """Write a folder and its manifest; return the digest of the manifest. The folder is new or empty."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in bundle.trees.items():
        (folder / name).write_text(text, encoding="utf-8")
    parts = {"model.json": bundle.spec, "calibration.json": bundle.calibration, "contract.json": bundle.contract}
    for name, part in parts.items():
        (folder / name).write_text(part.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / "card.json").write_text(json.dumps(dict(bundle.card), indent=1) + "\n", encoding="utf-8")
    (folder / GOLDEN).write_text(json.dumps(golden) + "\n", encoding="utf-8")
    return write_manifest(folder)


def write_manifest(folder: Path) -> str:
    """Write the digests of all files of a folder; return the digest of the manifest."""
    digests = {file.name: sha256(file) for file in sorted(folder.iterdir()) if file.name != MANIFEST}
    (folder / MANIFEST).write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
    return sha256(folder / MANIFEST)


def verify_bundle(folder: Path) -> str:
    """Compare every file with the manifest; return the digest of the manifest.

    Raises
    ------
    ModelRefused
        `no_model` where there is no manifest, `digest` where a file is missing, altered or too many.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        message = f"{folder} is not a potency model (no {MANIFEST}); correct the path (setting `predictor.model`)"
        raise ModelRefused(f"{message} or train one", reason="no_model")
    digests = _digests(manifest)
    present = {file.name for file in folder.iterdir() if file.name != MANIFEST}
    for name in sorted(present | set(digests)):
        file = folder / name
        if name not in digests or not file.is_file() or sha256(file) != digests[name]:
            message = f"{file} is not the file that the model was released with; restore the whole folder"
            raise ModelRefused(message, reason="digest")
    return sha256(manifest)


def read_bundle(folder: Path) -> Bundle:
    """Read the files of a verified folder; the trees are not parsed.

    Raises
    ------
    ModelRefused
        `format` when the folder was written by another version.
    """
    try:
        spec = ModelSpec.model_validate_json(_text(folder, "model.json"))
        calibration = Calibration.model_validate_json(_text(folder, "calibration.json"))
        contract = FeatureContract.model_validate_json(_text(folder, "contract.json"))
        trees = {name: _text(folder, name) for part in spec.biomarkers for name in part.files.values()}
        card = json.loads(_text(folder, "card.json"))
    except (ValueError, OSError) as error:
        message = (
            f"the potency model in {folder} has the form of another version of cellvigil; run the version that wrote "
            "it, or train it again"
        )
        raise ModelRefused(message, reason="format") from error
    return Bundle(spec, calibration, contract, card, trees)


def read_golden(folder: Path) -> dict[str, Any]:
    """Return rows and the answers that the model gave when it was written, by biomarker."""
    golden: dict[str, Any] = json.loads(_text(folder, GOLDEN))
    return golden


def sha256(file: Path) -> str:
    """Return the digest of a file in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _text(folder: Path, name: str) -> str:
    if name != Path(name).name:
        message = f"the potency model in {folder} names the file {name!r} outside its folder; do not use it"
        raise ModelRefused(message, reason="format")
    return (folder / name).read_text(encoding="utf-8")


def _digests(manifest: Path) -> dict[str, str]:
    try:
        digests = json.loads(manifest.read_text(encoding="utf-8"))
    except ValueError:
        digests = None
    if not isinstance(digests, dict):
        message = f"{manifest} is not the file that the model was released with; restore the whole folder"
        raise ModelRefused(message, reason="digest")
    return digests
