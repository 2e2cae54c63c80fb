"""The training loop: resumable after a kill at any moment, averaged weights, bf16 where the processor has it."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load_file, save_file
from torch import Tensor

from monitor.errors import ModelRefused
from monitor.network.segnet import SegmentationNetwork
from monitor.training.augment import AugmentSettings
from monitor.training.crops import CropSampler
from monitor.training.dataset import Batch
from monitor.training.dataset import Field as LabelledField
from monitor.training.loss import segmentation_loss
from monitor.whole_file import replacing

Positive = Annotated[float, Field(gt=0.0)]
FREE = {"steps", "checkpoint_s", "judge_steps"}
"""Settings that may change between the parts of a run."""
LOOK_STEPS = 50
"""So often the loss is looked at: every look waits for the device."""


class TrainSettings(BaseModel):
    """How a segmentation network is trained.

    steps: length of the whole schedule (linear warm-up, then cosine to a hundredth); average: decay of the
    exponential moving average of the weights; hold_statistics: normalise by the running statistics and leave them as
    they are, as serving does: crops of several laboratories in one batch have no common mean; checkpoint_s: seconds
    between checkpoints; judge_steps: steps between looks at the averaged weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Positive = 0.5
    decoder_channels: int = 96
    pixel_size_um: Positive = 0.87
    crop_px: int = 320
    batch_size: int = 4
    steps: int = 6000
    warm_up_steps: int = 200
    learning_rate: Positive = 1.2e-3
    weight_decay: Positive = 0.02
    average: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.998
    seed: int = 0
    hold_statistics: bool = False
    checkpoint_s: Positive = 120.0
    judge_steps: Annotated[int, Field(ge=1)] = 500
    augment: AugmentSettings = AugmentSettings()


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the training stands: step, mean loss since the last report, seconds per step."""

    step: int
    loss: float
    seconds_per_step: float


def train(
    settings: TrainSettings,
    groups: Sequence[tuple[float, Sequence[LabelledField]]],
    folder: Path,
    *,
    start: Mapping[str, Tensor] | None = None,
    until_s: float = math.inf,
    report: Callable[[Progress], None] = lambda progress: None,
    judge: Callable[[int, Mapping[str, Tensor]], bool] = lambda step, averaged: True,
) -> Path:
    """Train, or go on training, in `folder`; return the file of the averaged weights (safetensors, float32).

    Parameters
    ----------
    groups
        (share, fields) pairs that crops are drawn from.
    start
        Weights to begin with (a state dict of the same architecture), as in fine-tuning; a checkpoint in `folder` goes
        before it.
    until_s
        Stop after this many seconds with a checkpoint, to go on later.
    judge
        Shown the step and the averaged weights every `judge_steps` and at the end; False stops the run.

    Raises
    ------
    ModelRefused
        `other_settings` when the checkpoint in `folder` was made with other settings; `diverged` when the loss is no
        number any more: the checkpoint before it stays.
    """
    torch.manual_seed(settings.seed)
    run = _Run(settings, folder, start)
    started = time.monotonic()
    # another seed after each resume, or the same crops would come again
    sampler = CropSampler(
        groups,
        pixel_size_um=settings.pixel_size_um,
        crop_px=settings.crop_px,
        settings=settings.augment,
        seed=settings.seed + 1000 * run.step,
        device=run.device,
    )
    losses: list[Tensor] = []
    saved = reported = time.monotonic()
    # all crops have one size: cuDNN may look for its fastest kernels once
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=True):
        while run.step < settings.steps and time.monotonic() - started < until_s:
            losses.append(run.advance(sampler.batch(settings.batch_size)))
            reports, judges = len(losses) == LOOK_STEPS, run.step % settings.judge_steps == 0
            if reports:
                loss = run.sound(losses)
                now = time.monotonic()
                report(Progress(run.step, loss, (now - reported) / LOOK_STEPS))
                losses, reported = [], now
            if time.monotonic() - saved > settings.checkpoint_s:
                run.sound(losses)
                run.save()
                saved = time.monotonic()
            if judges and not run.judged(judge):
                break
    run.sound(losses)
    run.save()
    return run.averaged_file


class _Run:
    """Network, optimiser and average of one run, with their checkpoint."""

    def __init__(self, settings: TrainSettings, folder: Path, start: Mapping[str, Tensor] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = settings
        self._file = folder / "checkpoint.safetensors"
        self.averaged_file = folder / "averaged.safetensors"
        self.step = 0
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        network = SegmentationNetwork(settings.width, settings.decoder_channels)
        if start is not None:
            network.load_state_dict(start)
        self._network = network.to(self.device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # valid, missing in the stubs
        self._averaged = {name: value.detach().clone() for name, value in self._network.state_dict().items()}
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        if settings.hold_statistics:
            for module in self._network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()
        if self._file.exists():
            self._load()

    def advance(self, batch: Batch) -> Tensor:
        """Take one step and return its loss, which may still be on its way."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        pixels = batch.pixels.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device, torch.bfloat16, enabled=_fast_bfloat16(self.device)):
            maps = self._network(pixels)
        loss: Tensor = segmentation_loss(maps.float(), batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own annotation is missing
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
        self._optimizer.step()
        self.step += 1
        self._average()
        return loss.detach()

    def sound(self, losses: Sequence[Tensor]) -> float:
        """Return the mean of the losses since the last look.

        Raises
        ------
        ModelRefused
            `diverged` when one is no number: what was learnt since then must not be saved.
        """
        loss = float(torch.stack(list(losses)).mean()) if losses else 0.0
        if not math.isfinite(loss):
            message = (
                f"the loss is no number by step {self.step}; lower the learning rate and go on from the checkpoint"
            )
            raise ModelRefused(message, reason="diverged")
        return loss

    def judged(self, judge: Callable[[int, Mapping[str, Tensor]], bool]) -> bool:
        """Show the averaged weights, on the CPU; return whether to go on."""
        return judge(self.step, {name: value.cpu() for name, value in self._averaged.items()})

    def save(self) -> None:
        """Write the checkpoint and the averaged weights, each whole or not at all."""
        tensors: dict[str, Tensor] = {f"network.{k}": v for k, v in self._network.state_dict().items()}
        tensors |= {f"averaged.{k}": v for k, v in self._averaged.items()}
        for index, state in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        _replace(self._file, tensors, {"step": str(self.step), "settings": self._settings.model_dump_json()})
        _replace(self.averaged_file, self._averaged, {"step": str(self.step)})

    def _load(self) -> None:
        from safetensors import safe_open

        with safe_open(self._file, "pt") as stored:
            metadata = stored.metadata()
        before = TrainSettings.model_validate_json(metadata["settings"])
        if before.model_dump(exclude=FREE) != self._settings.model_dump(exclude=FREE):
            message = (
                f"{self._file} was made with other settings; go on with {metadata['settings']}, or use another folder"
            )
            raise ModelRefused(message, reason="other_settings")
        self.step = int(metadata["step"])
        tensors = load_file(self._file, device=self.device)
        self._network.load_state_dict(_under(tensors, "network."))
        self._averaged = _under(tensors, "averaged.")
        full = self._optimizer.state_dict()
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, "optimizer.").items():
            index, part = name.split(".", 1)
            states.setdefault(int(index), {})[part] = value
        self._optimizer.load_state_dict({"state": states, "param_groups": full["param_groups"]})

    def _rate(self) -> float:
        settings = self._settings
        if self.step < settings.warm_up_steps:
            return settings.learning_rate * (self.step + 1) / settings.warm_up_steps
        done = (self.step - settings.warm_up_steps) / max(1, settings.steps - settings.warm_up_steps)
        return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0))))

    def _average(self) -> None:
        decay = min(self._settings.average, (1 + self.step) / (10 + self.step))
        state = self._network.state_dict()
        floats = [name for name, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_([self._averaged[name] for name in floats], [state[name] for name in floats], 1.0 - decay)
        for name in state.keys() - set(floats):
            self._averaged[name].copy_(state[name])


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _replace(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    with replacing(file) as part:
        save_file({name: value.contiguous() for name, value in tensors.items()}, part, metadata=metadata)


def _fast_bfloat16(device: str) -> bool:
    """Whether bf16 is faster than fp32 here; without avx512_bf16 a CPU is several times slower with it."""
    if device == "cuda":
        return True
    flags = Path("/proc/cpuinfo")
    return flags.exists() and "avx512_bf16" in flags.read_text(encoding="utf-8", errors="replace")
