"""What a training leaves behind: a card, and the scores before and after it."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table
from torch import Tensor

from monitor.network.checkpoint import DecodeSettings, read_card, save_network
from monitor.training.evaluate import Evaluation
from monitor.training.metrics import Scores
from monitor.training.train import TrainSettings
from services.segmentation.evaluation import report_of
from services.training.material import Material
from services.training.plan import TrainingPlan
from services.training.stained import StainScores

CELL_SCORES = ("ap50", "ap75", "f1", "precision", "recall", "matched_iou", "count_error")
STAIN_SCORES = ("correlation", "f1", "precision", "recall")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Scores on held-back images; a part is None where nothing of its kind was held back.

    robustness: AP50 of cells by kind of change, asked for only where unlabelled frames teach.
    """

    cells: Evaluation | None = None
    stain: StainScores | None = None
    robustness: Mapping[str, float] | None = None

    def report(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            **(report_of(self.cells) if self.cells else {}),
            "stain": asdict(self.stain) if self.stain else None,
            "robustness": dict(self.robustness) if self.robustness else None,
        }

    def gains_on(self, before: "Verdict") -> bool:
        """Return whether clean score and mean robustness are both higher; True where they were not asked for."""
        if self.robustness is None or before.robustness is None:
            return True
        now, then = self.robustness, before.robustness
        return now["clean"] > then["clean"] and _mean(now) > _mean(then)


def _mean(robustness: Mapping[str, float]) -> float:
    return float(np.mean([value for name, value in robustness.items() if name != "clean"]))


def save(
    plan: TrainingPlan,
    settings: TrainSettings,
    decode: DecodeSettings,
    averaged: dict[str, Tensor],
    material: Material,
    after: Verdict,
) -> None:
    """Write weights and card into the folder of the plan."""
    begun = "a new network" if plan.weights is None else f"the weights {read_card(plan.weights).name}"
    names = [image.name for image in material.held_back] + [view.name for view in material.stained_held_back]
    named = ", ".join(names) or "none"
    data = [f"{len(material.learnt)} labelled images of {', '.join(folder.resolve().name for folder in plan.folders)}"]
    if material.stained:
        data.append(f"{len(material.stained)} images with nuclear stain")
    if material.taught:
        data.append(f"{len(material.taught)} unlabelled frames, labelled by the weights begun with")
    data += [
        f"held back: {named}",
        f"{plan.simulated} simulated frames of monitor.synthetic.phantom",
        f"begun with {begun}",
    ]
    scores: dict[str, float] = {} if after.cells is None else _scores_of(after.cells.cells)
    if after.stain is not None:
        scores |= {f"nucleus {name}, held-back stain": round(getattr(after.stain, name), 4) for name in STAIN_SCORES}
    card = {
        "name": f"{plan.out.resolve().name} of {time.strftime('%Y-%m-%d')}",
        "width": settings.width,
        "decoder_channels": settings.decoder_channels,
        "pixel_size_um": settings.pixel_size_um,
        "decode": decode,
        "data": data,
        "licence": plan.licence,
        "scores": {name: value for name, value in scores.items() if math.isfinite(value)},
        "intended_use": "images like those it was trained on",
        "must_not_be_used_for": "decisions about patients or batches without a validation of its own",
    }
    save_network(averaged, card, plan.out / "segmenter.json")


def _scores_of(cells: Scores) -> dict[str, float]:
    names = ("fields", "ap50", "ap75", "f1", "precision", "recall", "matched_iou", "area_ratio", "count_error")
    return {f"{name}, held-back images": round(float(getattr(cells, name)), 4) for name in names}


def before_after(before: Verdict, after: Verdict) -> Table | str:
    """Return the table of scores before and after, or a sentence where nothing was held back."""
    if after.cells is None and after.stain is None:
        return "no image was held back, so there is no score; hold some back to see what the weights are worth"
    table = Table(title=_title(after))
    for name in ("score", "before", "after"):
        table.add_column(name, justify="left" if name == "score" else "right")
    if after.cells is not None:
        old = before.cells.cells if before.cells else None
        for name in CELL_SCORES:
            table.add_row(f"cells, {name}", _shown(old, name), _shown(after.cells.cells, name))
    if after.stain is not None:
        for name in STAIN_SCORES:
            table.add_row(f"nuclei against stain, {name}", _shown(before.stain, name), _shown(after.stain, name))
    for name in after.robustness or {}:
        old_ap50 = before.robustness[name] if before.robustness else math.nan
        table.add_row(f"ap50, {name}", f"{old_ap50:.3f}", f"{(after.robustness or {})[name]:.3f}")
    return table


def _title(after: Verdict) -> str:
    parts = []
    if after.cells is not None:
        parts.append(f"{after.cells.cells.fields} held-back images, {after.cells.cells.true_instances} cells")
    if after.stain is not None:
        parts.append(f"{after.stain.views} held-back stained views, {after.stain.nuclei} nuclei")
    return "; ".join(parts)


def _shown(scores: Scores | StainScores | None, name: str) -> str:
    return "-" if scores is None else f"{getattr(scores, name):.3f}"
