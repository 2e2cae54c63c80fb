"""Weights on disk: safetensors beside a JSON card; verified before they are opened, never a pickle."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from monitor.errors import ModelRefused
from monitor.network.segnet import SegmentationNetwork
from monitor.whole_file import write_whole

SHIPPED = Path(__file__).parent / "weights" / "segmenter.json"
"""Card of the weights that come with the package and are used where nothing else is said."""


class CellConfidence(BaseModel):
    """How likely an outlined cell is one: a logistic regression on what the maps say of it, learnt on training fields.

    The logit is `intercept` plus each coefficient times: the cell's highest smoothed centre; its mean foreground
    probability; the mean edge probability along its outline; its pixels on the frame's border per pixel of outline.
    Cells below `least` are left out: for AP = TP / (TP + FP + FN) it pays to keep a cell from a probability of
    AP / (1 + AP) on, 0.46 at 0.85.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    intercept: float
    peak: float
    probability: float
    edge: float
    border: float
    least: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.4


CONFIDENCE_COLUMNS = ("peak", "probability", "edge", "border")
"""The coefficients of `CellConfidence`, in the order in which evidence is laid out."""


class DecodeSettings(BaseModel):
    """How maps become labels; chosen on training fields, never on validation fields.

    smooth_px: Gaussian on the centre map; persistence: two peaks closer than this in depth are one cell;
    bump_um2: neither is one of fewer um2 than this above the saddle; boundary_weight: how much a predicted edge lowers
    the map; threshold: foreground probability; min_peak: of a cell's own height; areas in um2; confidence: which of
    the cells are believed, None for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    smooth_px: float = 2.0
    persistence: float = 0.07
    boundary_weight: float = 0.2
    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    min_peak: float = 0.25
    min_cell_um2: float = 100.0
    min_nucleus_um2: float = 25.0
    nucleus_persistence: float = 0.15
    bump_um2: Annotated[float, Field(ge=0.0)] = 0.0
    confidence: CellConfidence | None = None


class ModelCard(BaseModel):
    """What a weights file is, what it was made from and what it must not be used for.

    `sha256` is of the weights file beside the card; `pixel_size_um` is the scale that frames are resampled to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    weights: str
    sha256: str
    width: float
    decoder_channels: int
    pixel_size_um: Annotated[float, Field(gt=0.0)]
    decode: DecodeSettings = DecodeSettings()
    data: list[str]
    licence: str
    scores: dict[str, Any]
    intended_use: str
    must_not_be_used_for: str


def card_file(path: Path) -> Path:
    """Return the file of a card: `path`, or where it is the mere name of weights that come with the package, theirs.

    >>> card_file(Path("laboratories")) == SHIPPED.with_name("laboratories.json")
    True
    """
    shipped = SHIPPED.with_name(f"{path.name}.json")
    return shipped if path == Path(path.name) and not path.is_file() and shipped.is_file() else path


def read_card(path: Path = SHIPPED) -> ModelCard:
    """Read a model card, by its file or by the name of weights that come with the package.

    Raises
    ------
    ModelRefused
        The card is missing or is not a card.
    """
    path = card_file(path)
    try:
        return ModelCard.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"model card {path} does not exist; reinstall the package or correct `segmenter.weights`"
        raise ModelRefused(message, reason="no_weights") from error
    except ValidationError as error:
        raise ModelRefused(f"{path} is not a model card: {error.errors()[0]['msg']}", reason="bad_card") from error
    except UnicodeDecodeError as error:
        raise ModelRefused(f"{path} is not a model card: it is no text", reason="bad_card") from error


def load_network(path: Path = SHIPPED) -> tuple[SegmentationNetwork, ModelCard]:
    """Return the network in evaluation mode, float32 on the CPU, and its card.

    Raises
    ------
    ModelRefused
        The digest of the weights is not the one on the card (nothing is parsed then), or the file does not fit.
    """
    path = card_file(path)
    card = read_card(path)
    file = path.parent / card.weights
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise ModelRefused(f"weights {file} do not exist; reinstall the package", reason="no_weights") from error
    if hashlib.sha256(content).hexdigest() != card.sha256:
        message = f"weights {file} are not those that {path.name} describes; restore both from the same source"
        raise ModelRefused(message, reason="digest")
    network = SegmentationNetwork(card.width, card.decoder_channels)
    try:
        network.load_state_dict({name: _wide(value) for name, value in load_tensors(content).items()})
    except (RuntimeError, SafetensorError) as error:
        message = f"weights {file} are not of the network that {path.name} describes; restore both from the same source"
        raise ModelRefused(message, reason="does_not_fit") from error
    return network.eval(), card


def save_network(state: dict[str, Tensor], card: dict[str, Any], path: Path) -> ModelCard:
    """Write weights as float16 and their card; return the card with its digest filled in.

    `state` is a state dict; `card` holds the fields of `ModelCard` except `weights` and `sha256`.

    Raises
    ------
    ModelRefused
        `not_finite`: a value is NaN, infinite or too large for float16; nothing is written then.
    """
    narrow = {name: _narrow(value).contiguous() for name, value in state.items()}
    if wrong := [name for name, value in narrow.items() if not torch.isfinite(value).all()]:
        raise ModelRefused(f"{wrong[0]} holds values that float16 cannot; train again", reason="not_finite")
    content = save_tensors(narrow)
    file = path.with_suffix(".safetensors")
    write_whole(file, content)
    whole = ModelCard(weights=file.name, sha256=hashlib.sha256(content).hexdigest(), **card)
    write_whole(path, f"{json.dumps(whole.model_dump(), indent=2)}\n".encode())
    return whole


def _narrow(value: Tensor) -> Tensor:
    return value.to(torch.float16) if value.is_floating_point() else value


def _wide(value: Tensor) -> Tensor:
    return value.to(torch.float32) if value.is_floating_point() else value
