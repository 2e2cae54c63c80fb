"""The training loop on a network of a few thousand weights."""

import functools
from pathlib import Path

import pytest
import torch
from cases.phantoms import phantom
from safetensors import safe_open
from safetensors.torch import load_file

from monitor.errors import ModelRefused
from monitor.network.segnet import SegmentationNetwork
from monitor.training import train as training
from monitor.training.dataset import Field, make_field
from monitor.training.train import Progress, TrainSettings, train

TINY = TrainSettings(width=0.125, decoder_channels=16, crop_px=64, batch_size=2, steps=6, warm_up_steps=2)


@functools.cache
def groups() -> list[tuple[float, list[Field]]]:
    truth = phantom(1, covered=0.4)
    return [(1.0, [make_field(truth.pixels, truth.cells, truth.nuclei, truth.pixel_size_um)])]


def steps_done(folder: Path) -> int:
    with safe_open(folder / "checkpoint.safetensors", "pt") as stored:
        return int(stored.metadata()["step"])


def part(folder: Path, prefix: str) -> dict[str, torch.Tensor]:
    tensors = load_file(folder / "checkpoint.safetensors")
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_training_leaves_a_checkpoint_and_weights_that_fit_the_network(tmp_path: Path) -> None:
    file = train(TINY, groups(), tmp_path)
    assert file == tmp_path / "averaged.safetensors"
    assert steps_done(tmp_path) == TINY.steps
    weights = load_file(file)
    SegmentationNetwork(TINY.width, TINY.decoder_channels).load_state_dict(weights)
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert equal(weights, part(tmp_path, "averaged."))
    assert sorted(found.name for found in tmp_path.iterdir()) == ["averaged.safetensors", "checkpoint.safetensors"]


def test_two_uninterrupted_runs_agree(tmp_path: Path) -> None:
    one, two = (load_file(train(TINY, groups(), tmp_path / name)) for name in ("one", "two"))
    assert equal(one, two)
    other = load_file(train(TINY.model_copy(update={"seed": 1}), groups(), tmp_path / "other"))
    assert not equal(one, other)


def test_the_loss_falls(tmp_path: Path) -> None:
    reports: list[Progress] = []
    longer = TINY.model_copy(update={"steps": 100, "crop_px": 32})
    train(longer, groups(), tmp_path, report=reports.append)
    assert [progress.step for progress in reports] == [50, 100]
    assert reports[1].loss < 0.95 * reports[0].loss
    assert all(progress.seconds_per_step > 0.0 for progress in reports)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[int] = []
    advance = training._Run.advance

    def count(run: training._Run, batch: training.Batch) -> torch.Tensor:
        losses.append(run.step)
        return advance(run, batch)

    monkeypatch.setattr(training._Run, "advance", count)
    train(TINY.model_copy(update={"steps": 4}), groups(), tmp_path)
    train(TINY, groups(), tmp_path)
    assert losses == [0, 1, 2, 3, 4, 5]
    assert steps_done(tmp_path) == 6
    # a run that is through does not take another step
    before = load_file(tmp_path / "checkpoint.safetensors")
    train(TINY, groups(), tmp_path)
    assert len(losses) == 6
    assert equal(before, load_file(tmp_path / "checkpoint.safetensors"))


def test_a_checkpoint_brings_everything_back(tmp_path: Path) -> None:
    train(TINY, groups(), tmp_path)
    before = load_file(tmp_path / "checkpoint.safetensors")
    run = training._Run(TINY, tmp_path)
    assert run.step == TINY.steps
    run.save()
    after = load_file(tmp_path / "checkpoint.safetensors")
    assert equal(before, after)
    assert any(name.endswith("exp_avg_sq") for name in after)
    assert float(after["optimizer.0.step"]) == TINY.steps


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    train(TINY, groups(), tmp_path)
    with pytest.raises(ModelRefused, match="other settings") as refused:
        train(TINY.model_copy(update={"learning_rate": 0.5}), groups(), tmp_path)
    assert refused.value.reason == "other_settings"
    train(TINY.model_copy(update={"steps": 7}), groups(), tmp_path)
    assert steps_done(tmp_path) == 7


def test_training_begins_with_the_weights_that_it_is_given(tmp_path: Path) -> None:
    given = load_file(train(TINY, groups(), tmp_path / "before"))
    begun = load_file(train(TINY, groups(), tmp_path / "after", start=given, until_s=0.0))
    assert equal(given, begun)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(TINY.model_copy(update={"steps": 2}), groups(), tmp_path)
    monkeypatch.setattr(training, "segmentation_loss", lambda maps, batch: maps.sum() * float("nan"))
    with pytest.raises(ModelRefused) as refused:
        train(TINY, groups(), tmp_path)
    assert refused.value.reason == "diverged"
    assert steps_done(tmp_path) == 2


def test_a_run_without_time_leaves_a_checkpoint_to_start_from(tmp_path: Path) -> None:
    train(TINY, groups(), tmp_path, until_s=0.0)
    assert steps_done(tmp_path) == 0
    train(TINY, groups(), tmp_path)
    assert steps_done(tmp_path) == TINY.steps


def test_other_crops_come_after_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    real = training.CropSampler

    def noted(*args: object, seed: int, **rest: object) -> training.CropSampler:
        seeds.append(seed)
        return real(*args, seed=seed, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "CropSampler", noted)
    train(TINY.model_copy(update={"steps": 2}), groups(), tmp_path)
    train(TINY.model_copy(update={"steps": 3}), groups(), tmp_path)
    assert len(set(seeds)) == 2


def test_a_run_that_dies_keeps_its_last_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(TINY.model_copy(update={"steps": 2}), groups(), tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()

    def die(tensors: dict[str, torch.Tensor], file: Path, metadata: dict[str, str]) -> None:
        file.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_file", die)
    with pytest.raises(KeyboardInterrupt):
        train(TINY, groups(), tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    monkeypatch.undo()
    train(TINY, groups(), tmp_path)
    assert steps_done(tmp_path) == TINY.steps


def test_checkpoints_are_written_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(training._Run, "save", lambda run: saved.append(run.step))
    train(TINY.model_copy(update={"checkpoint_s": 1e-6}), groups(), tmp_path)
    assert saved == [1, 2, 3, 4, 5, 6, 6]


def test_the_rate_warms_up_and_falls_to_a_hundredth(tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"steps": 110, "warm_up_steps": 10, "learning_rate": 1.0})
    run = training._Run(settings, tmp_path)
    rates = []
    for step in range(111):
        run.step = step
        rates.append(run._rate())
    assert rates[:11] == pytest.approx([(step + 1) / 10 for step in range(10)] + [1.0])
    assert rates[60] == pytest.approx(0.505)
    assert rates[110] == pytest.approx(0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_averaged_weights_follow_slowly(tmp_path: Path) -> None:
    train(TINY.model_copy(update={"average": 0.5, "steps": 4}), groups(), tmp_path / "quick")
    train(TINY.model_copy(update={"average": 0.999, "steps": 4}), groups(), tmp_path / "slow")

    def apart(folder: Path) -> float:
        network, averaged = part(folder, "network."), part(folder, "averaged.")
        return sum(float((averaged[name].float() - value.float()).abs().sum()) for name, value in network.items())

    assert 0.0 < apart(tmp_path / "quick") <= apart(tmp_path / "slow")


def test_held_statistics_stay_as_they_were_while_the_weights_learn(tmp_path: Path) -> None:
    start = SegmentationNetwork(0.125, 16).state_dict()
    held = TINY.model_copy(update={"hold_statistics": True, "steps": 3})
    after = load_file(train(held, groups(), tmp_path, start=start))
    for name, value in start.items():
        if name.endswith(("running_mean", "running_var")):
            assert torch.equal(after[name], value), name
    assert not torch.equal(after["encoder.stem.weight"], start["encoder.stem.weight"])
