"""The command: gather, train or go on, choose the decode, score before and after, save."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file
from torch import Tensor

from monitor.errors import SettingsError
from monitor.network.checkpoint import DecodeSettings, load_network
from monitor.network.segnet import SegmentationNetwork
from monitor.segmentation.segmenter import Segmenter
from monitor.training.augment import AugmentSettings
from monitor.training.robustness import robustness
from monitor.training.train import Progress as Step
from monitor.training.train import TrainSettings, train
from services.training.curves import draw_curves
from services.training.material import Material, fields_of, gather
from services.training.outcome import Verdict, before_after, save
from services.training.plan import TrainingPlan
from services.training.stained import stain_scores
from services.training.validation import CurveLog, Validator, choose_decode, masks_of, scores, segmenter_of
from services.whole_file import write_json

DECODE_FIELDS = 6


def train_segmenter(plan: TrainingPlan, json_file: Path | None) -> int:
    """Train, or go on with what lies in `plan.out`; write card, curves and a table of scores before and after.

    Returns 1, and writes no card, when unlabelled frames taught and the scores did not gain by it.
    """
    plan.check()
    console = Console(stderr=json_file is not None)
    plan.out.mkdir(parents=True, exist_ok=True)
    material = gather(plan, console)
    start, settings, decode = _beginning(plan)
    before = Verdict()
    if start is not None:
        network = SegmentationNetwork(settings.width, settings.decoder_channels)
        network.load_state_dict(start)
        before = _verdict(segmenter_of(network, settings, decode), material)
    _run(plan, settings, decode, start, material, console)
    averaged = load_file(plan.out / "averaged.safetensors")
    network = SegmentationNetwork(settings.width, settings.decoder_channels)
    network.load_state_dict(averaged)
    decode = choose_decode(network, settings, decode, material.learnt[:DECODE_FIELDS])
    after = _verdict(segmenter_of(network, settings, decode), material)
    _draw(plan, console)
    console.print(before_after(before, after))
    if json_file is not None:
        report = {"before": before.report(), "after": after.report()}
        write_json(json_file, report)
    if not after.gains_on(before):
        console.print("not kept: the unlabelled frames brought no gain in both the clean scores and the changed ones")
        return 1
    save(plan, settings, decode, averaged, material, after)
    card = plan.out / "segmenter.json"
    console.print(f"weights and card in {card}; use them with segmenter.weights or --weights {card}", soft_wrap=True)
    return 0


def _draw(plan: TrainingPlan, console: Console) -> None:
    """Draw the curves; what was learnt is not held up where there is nothing to draw with."""
    try:
        draw_curves(CurveLog(plan.out / "curve.jsonl").rows()).save(plan.out / "curves.png")
    except SettingsError as error:
        console.print(f"no curves.png: {error}", markup=False, highlight=False)


def _beginning(plan: TrainingPlan) -> tuple[Mapping[str, Tensor] | None, TrainSettings, DecodeSettings]:
    """Return weights to start from, settings and decode."""
    if plan.weights is None:
        settings = TrainSettings(width=plan.width, steps=plan.steps or 20_000, seed=plan.seed)
        return None, _with_rate(settings, plan.learning_rate), DecodeSettings()
    network, card = load_network(plan.weights)
    settings = TrainSettings(
        width=card.width, decoder_channels=card.decoder_channels, pixel_size_um=card.pixel_size_um,
        steps=plan.steps or 1000, warm_up_steps=50, learning_rate=4e-4, judge_steps=100, seed=plan.seed,
        augment=AugmentSettings(log_scale=0.5),
    )  # fmt: skip
    return network.state_dict(), _with_rate(settings, plan.learning_rate), card.decode


def _with_rate(settings: TrainSettings, rate: float | None) -> TrainSettings:
    return settings if rate is None else settings.model_copy(update={"learning_rate": rate})


def _run(
    plan: TrainingPlan,
    settings: TrainSettings,
    decode: DecodeSettings,
    start: Mapping[str, Tensor] | None,
    material: Material,
    console: Console,
) -> None:
    groups = fields_of(plan, material, console)
    record = CurveLog(plan.out / "curve.jsonl")
    jury = Validator(settings, decode, material.held_back, record)
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


def _verdict(segmenter: Segmenter, material: Material) -> Verdict:
    return Verdict(
        cells=scores(segmenter, material.held_back),
        stain=stain_scores(segmenter, material.stained_held_back),
        robustness=robustness(masks_of(segmenter), material.held_back) if material.taught else None,
    )
