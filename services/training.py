"""`cellvigil train segmenter`: from labelled folders to weights with a card, from scratch or from our weights."""

import itertools
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track
from rich.table import Table
from safetensors.torch import load_file
from torch import Tensor

from monitor.engine.eager import EagerEngine
from monitor.errors import SettingsError
from monitor.frames.frame import Frame
from monitor.frames.normalize import normalize
from monitor.frames.resample import pad_to_multiple, resample, restore_labels
from monitor.network.checkpoint import SHIPPED, DecodeSettings, ModelCard, load_network, read_card, save_network
from monitor.network.segnet import SegmentationNetwork
from monitor.segmentation.labels import instances_of
from monitor.segmentation.segmenter import PLANES, Segmentation, Segmenter
from monitor.synthetic.phantom import simulate_frame
from monitor.training.augment import AugmentSettings
from monitor.training.dataset import Field, make_field
from monitor.training.evaluate import Evaluation, evaluate
from monitor.training.metrics import Matches, Scores, match_instances, score
from monitor.training.sources import LabelledImage, read_labelled
from monitor.training.train import Progress as Step
from monitor.training.train import TrainSettings, train
from services.curves import draw_curves
from services.segmenting import report_of

SIMULATED_SEED = 5000
REAL_SHARE = 0.7
PERSISTENCES = (0.05, 0.07, 0.1, 0.14, 0.2)
BUMPS_UM2 = (0.0, 150.0)
"""Decodes to choose from, on training fields."""
DECODE_FIELDS = 6
PATIENCE = 6
"""Looks without a better score on the held-back fields, after which the run stops."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train.

    folders: labelled images; pixel_size_um: for those that do not say it; hold_back: names that contain one of these
    are never trained on, None takes every sixth image; weights: card to start from, None for a new network; width: of
    a new network; simulated: number of simulated frames in the mix; minutes: of this part of the run.
    """

    folders: tuple[Path, ...]
    out: Path
    pixel_size_um: float | None = None
    hold_back: tuple[str, ...] | None = None
    weights: Path | None = SHIPPED
    width: float = 0.5
    simulated: int = 100
    steps: int | None = None
    minutes: float | None = None
    learning_rate: float | None = None
    seed: int = 0
    most: int | None = None
    licence: str = "as the labelled images; ask their owner"


def train_segmenter(plan: Plan, json_file: Path | None) -> int:
    """Train, or go on with what lies in `plan.out`; write card, curves and a table of scores before and after."""
    console = Console(stderr=json_file is not None)
    plan.out.mkdir(parents=True, exist_ok=True)
    images = [image for folder in plan.folders for image in read_labelled(folder, plan.pixel_size_um, most=plan.most)]
    learnt, held_back = _split(images, plan.hold_back)
    before, start, settings, decode = _beginning(plan, held_back)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        fields = _shown(pool.map(_field, learnt), len(learnt), "preparing", console)
        seeds = range(SIMULATED_SEED, SIMULATED_SEED + plan.simulated)
        simulated = _shown(pool.map(_simulated, seeds), len(seeds), "simulating", console)
    groups = [(REAL_SHARE, fields), (1.0 - REAL_SHARE if plan.simulated else 0.0, simulated)]
    record = _Record(plan.out / "curve.jsonl")
    jury = _Jury(settings, decode, held_back, record)
    bar = Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=settings.steps, note="")

        def report(step: Step) -> None:
            record.add({"step": step.step, "loss": step.loss})
            note = f"loss {step.loss:.3f}, {step.seconds_per_step:.2f} s a step"
            bar.update(task, completed=step.step, note=note)
            if not console.is_terminal:
                console.print(f"step {step.step} of {settings.steps}: {note}", highlight=False)

        until_s = float("inf") if plan.minutes is None else 60.0 * plan.minutes
        train(settings, groups, plan.out, start=start, until_s=until_s, report=report, judge=jury.judge)
    averaged = _averaged(plan.out)
    network = SegmentationNetwork(settings.width, settings.decoder_channels)
    network.load_state_dict(averaged)
    decode = choose_decode(network, settings, decode, learnt[:DECODE_FIELDS])
    after = _scores(network, settings, decode, held_back)
    card = _save(plan, settings, decode, averaged, learnt, held_back, after)
    draw_curves(record.rows()).save(plan.out / "curves.png")
    console.print(_before_after(before, after))
    console.print(f"weights and card in {card}; use them with segmenter.weights or --weights {card}", soft_wrap=True)
    if json_file is not None:
        report_json = {"before": before and report_of(before), "after": after and report_of(after)}
        json_file.write_text(json.dumps(report_json, indent=1) + "\n", encoding="utf-8")
    return 0


def choose_decode(
    network: SegmentationNetwork, settings: TrainSettings, decode: DecodeSettings, fields: Sequence[LabelledImage]
) -> DecodeSettings:
    """Return the decode of best AP50 on fields that were trained on; ties go to the lower persistence."""
    if not fields:
        return decode
    engine = EagerEngine(network)
    choices = [
        decode.model_copy(update={"persistence": persistence, "bump_um2": bump_um2})
        for persistence, bump_um2 in itertools.product(PERSISTENCES, BUMPS_UM2)
    ]
    matches: list[list[Matches]] = [[] for _ in choices]
    for image in fields:
        frame = resample(Frame(image.pixels, image.pixel_size_um), settings.pixel_size_um)
        maps = engine(pad_to_multiple(normalize(frame, settings.pixel_size_um))[None, None])[0]
        maps = maps[:, : frame.shape[0], : frame.shape[1]]
        for found, choice in zip(matches, choices, strict=True):
            cells = instances_of(maps, PLANES, choice, settings.pixel_size_um).cells
            cells = restore_labels(cells, (image.cells.shape[0], image.cells.shape[1]))
            found.append(match_instances(image.cells, cells, image.pixels))
    ap50 = [score(found).ap50 for found in matches]
    return choices[ap50.index(max(ap50))]


def _split(
    images: Sequence[LabelledImage], hold_back: tuple[str, ...] | None
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    if hold_back is None:
        kept = {image.name for image in images[3::6]}
    else:
        kept = {image.name for image in images if any(part in image.name for part in hold_back)}
        if not kept:
            message = f"--hold-back: no image is named like {', '.join(hold_back)}"
            raise SettingsError(message, reason="hold_back")
    learnt = [image for image in images if image.name not in kept]
    if not learnt:
        raise SettingsError("every image is held back; label more, or hold back fewer", reason="hold_back")
    return learnt, [image for image in images if image.name in kept]


def _beginning(
    plan: Plan, held_back: Sequence[LabelledImage]
) -> tuple[Evaluation | None, Mapping[str, Tensor] | None, TrainSettings, DecodeSettings]:
    """Return scores before, weights to start from, settings and decode."""
    if plan.weights is None:
        settings = TrainSettings(width=plan.width, steps=plan.steps or 20_000, seed=plan.seed)
        return None, None, _with_rate(settings, plan.learning_rate), DecodeSettings()
    network, card = load_network(plan.weights)
    settings = TrainSettings(
        width=card.width, decoder_channels=card.decoder_channels, pixel_size_um=card.pixel_size_um,
        steps=plan.steps or 1000, warm_up_steps=50, learning_rate=4e-4, judge_steps=100, seed=plan.seed,
        augment=AugmentSettings(log_scale=0.35),
    )  # fmt: skip
    settings = _with_rate(settings, plan.learning_rate)
    before = _scores(network, settings, card.decode, held_back)
    return before, network.state_dict(), settings, card.decode


def _with_rate(settings: TrainSettings, rate: float | None) -> TrainSettings:
    return settings if rate is None else settings.model_copy(update={"learning_rate": rate})


def _shown(work: Iterable[Field], total: int, name: str, console: Console) -> list[Field]:
    return list(track(work, name, total=total, console=console, disable=not console.is_terminal))


def _field(image: LabelledImage) -> Field:
    return make_field(image.pixels, image.cells, image.nuclei, image.pixel_size_um)


def _simulated(seed: int) -> Field:
    phantom = simulate_frame(seed)
    return make_field(phantom.pixels, phantom.cells, phantom.nuclei, phantom.pixel_size_um)


class _Record:
    """The curve of a run, one JSON line per report, so that a resumed run goes on with it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def add(self, row: dict[str, float]) -> None:
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")

    def rows(self) -> list[dict[str, float]]:
        if not self._file.exists():
            return []
        return [json.loads(line) for line in self._file.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


class _Jury:
    """Scores the averaged weights on the held-back fields now and then, and stops a run that gains nothing."""

    def __init__(
        self, settings: TrainSettings, decode: DecodeSettings, held_back: Sequence[LabelledImage], record: _Record
    ) -> None:
        self._settings = settings
        self._decode = decode
        self._held_back = held_back
        self._record = record

    def judge(self, step: int, averaged: Mapping[str, Tensor]) -> bool:
        if not self._held_back:
            return True
        network = SegmentationNetwork(self._settings.width, self._settings.decoder_channels)
        network.load_state_dict(averaged)
        found = _scores(network, self._settings, self._decode, self._held_back)
        assert found is not None
        self._record.add({"step": step, "ap50": found.cells.ap50, "f1": found.cells.f1})
        looks = [row["ap50"] for row in self._record.rows() if "ap50" in row]
        return len(looks) <= PATIENCE or max(looks[-PATIENCE:]) > max(looks[:-PATIENCE])


def _scores(
    network: SegmentationNetwork, settings: TrainSettings, decode: DecodeSettings, fields: Sequence[LabelledImage]
) -> Evaluation | None:
    if not fields:
        return None
    segmenter = Segmenter(EagerEngine(network), _card(settings, decode, "in training"))

    def segment(frame: Frame) -> tuple[Any, Any, str | None]:
        (found,) = segmenter.segment([frame])
        if not isinstance(found, Segmentation):
            raise found
        return found.cells, found.nuclei, found.quality.reason

    return evaluate(segment, fields)


def _card(settings: TrainSettings, decode: DecodeSettings, name: str) -> ModelCard:
    return ModelCard(
        name=name, weights="", sha256="", width=settings.width, decoder_channels=settings.decoder_channels,
        pixel_size_um=settings.pixel_size_um, decode=decode, data=[], licence="", scores={}, intended_use="",
        must_not_be_used_for="",
    )  # fmt: skip


def _averaged(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "averaged.safetensors")


def _save(
    plan: Plan,
    settings: TrainSettings,
    decode: DecodeSettings,
    averaged: dict[str, Tensor],
    learnt: Sequence[LabelledImage],
    held_back: Sequence[LabelledImage],
    after: Evaluation | None,
) -> Path:
    path = plan.out / "segmenter.json"
    folders = ", ".join(folder.resolve().name for folder in plan.folders)
    begun = "a new network" if plan.weights is None else f"the weights {_name_of(plan.weights)}"
    named = ", ".join(image.name for image in held_back) or "none"
    card = {
        "name": f"{plan.out.resolve().name} of {time.strftime('%Y-%m-%d')}",
        "width": settings.width,
        "decoder_channels": settings.decoder_channels,
        "pixel_size_um": settings.pixel_size_um,
        "decode": decode,
        "data": [
            f"{len(learnt)} labelled images of {folders}; held back: {named}",
            f"{plan.simulated} simulated frames of monitor.synthetic.phantom, seeds from {SIMULATED_SEED}",
            f"begun with {begun}",
        ],
        "licence": plan.licence,
        "scores": {} if after is None else _scores_of(after.cells),
        "intended_use": "images like those it was trained on",
        "must_not_be_used_for": "decisions about patients or batches without a validation of its own",
    }
    save_network(averaged, card, path)
    return path


def _name_of(card: Path) -> str:
    return read_card(card).name


def _scores_of(cells: Scores) -> dict[str, float]:
    names = ("fields", "ap50", "ap75", "f1", "precision", "recall", "matched_iou", "area_ratio", "count_error")
    return {f"{name}, held-back images": round(float(getattr(cells, name)), 4) for name in names}


def _before_after(before: Evaluation | None, after: Evaluation | None) -> Table | str:
    if after is None:
        return "no image was held back, so there is no score; hold some back to see what the weights are worth"
    table = Table(title=f"{after.cells.fields} held-back images, {after.cells.true_instances} cells")
    for name in ("score", "before", "after"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for name in ("ap50", "ap75", "f1", "precision", "recall", "matched_iou", "count_error"):
        old = "-" if before is None else f"{getattr(before.cells, name):.3f}"
        table.add_row(name, old, f"{getattr(after.cells, name):.3f}")
    return table
