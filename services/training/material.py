"""What a training learns from: labelled, stained, unlabelled and simulated images, as fields."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from monitor.errors import FrameRejected, SettingsError
from monitor.frames.frame import Frame
from monitor.frames.reader import SUFFIXES, ReadLimits, read_frame
from monitor.segmentation.segmenter import load_segmenter
from monitor.synthetic.phantom import simulate_frame
from monitor.training.dataset import Field, make_field
from monitor.training.sources import LabelledImage, is_labels, read_labelled
from monitor.training.stain import read_stain_pairs
from monitor.training.teacher import Look, TaughtFrame, taught_fraction, teach
from services.training.looks import look_of
from services.training.plan import TrainingPlan, split
from services.training.stained import StainedView, halves, view_of

SIMULATED_SEED = 5000
SHARES = {"labelled": 0.7, "simulated": 0.3, "stained": 0.4, "taught": 0.3}
"""How often crops come from each kind, relative to one another."""

Item = TypeVar("Item")


@dataclass(slots=True)
class Material:
    """Images to learn from and images to be scored on."""

    learnt: list[LabelledImage] = field(default_factory=list)
    held_back: list[LabelledImage] = field(default_factory=list)
    stained: list[StainedView] = field(default_factory=list)
    stained_held_back: list[StainedView] = field(default_factory=list)
    taught: list[TaughtFrame] = field(default_factory=list)


def gather(plan: TrainingPlan, console: Console) -> Material:
    """Read, register and label what the plan names; say what could not be used.

    Raises
    ------
    SettingsError
        `hold_back` when no name fits it, or what reading the parts raises.
    """
    found = Material()
    images = [image for folder in plan.folders for image in read_labelled(folder, plan.pixel_size_um, most=plan.most)]
    found.learnt, found.held_back = split(images, plan.hold_back)
    asked = plan.stain_pairs is not None or plan.unlabelled is not None
    look = look_of(load_segmenter(plan.weights, tta=True), plan.out / "looks") if asked and plan.weights else None
    if plan.stain_pairs is not None:
        found.stained, found.stained_held_back = _stained(plan, plan.stain_pairs, look, console)
    if plan.hold_back is not None and not (found.held_back or found.stained_held_back):
        message = f"--hold-back: no image is named like {', '.join(plan.hold_back)}"
        raise SettingsError(message, reason="hold_back")
    if plan.unlabelled is not None and look is not None:
        found.taught = _taught(plan.unlabelled, plan.pixel_size_um, look, console)
    return found


def fields_of(plan: TrainingPlan, material: Material, console: Console) -> list[tuple[float, Sequence[Field]]]:
    """Return (share, fields) of every kind of image; targets are computed on all cores."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        seeds = range(SIMULATED_SEED, SIMULATED_SEED + plan.simulated)
        kinds = {
            "labelled": (pool.map(_labelled_field, material.learnt), len(material.learnt)),
            "stained": (pool.map(_stained_field, material.stained), len(material.stained)),
            "taught": (pool.map(_taught_field, material.taught), len(material.taught)),
            "simulated": (pool.map(_simulated_field, seeds), len(seeds)),
        }
        return [
            (SHARES[kind], list(_shown(fields, total, f"preparing {kind} images", console)))
            for kind, (fields, total) in kinds.items()
            if total
        ]


def _stained(
    plan: TrainingPlan, folder: Path, look: Look | None, console: Console
) -> tuple[list[StainedView], list[StainedView]]:
    pairs = list(read_stain_pairs(folder, plan.pixel_size_um))
    alone = len(pairs) == 1 and plan.hold_back is None
    if alone:
        pairs = list(halves(pairs[0]))
    views = []
    for pair in _shown(pairs, len(pairs), "registering stains", console):
        try:
            view = view_of(pair, look)
        except FrameRejected as error:
            console.print(f"{pair.name} is left out: {error}", markup=False, soft_wrap=True)
            continue
        shift = view.shift
        moved = f"stain moved by {-shift.rows_px} rows and {-shift.columns_px} columns (score {shift.score:.0f})"
        console.print(f"{pair.name}: {moved}, {view.nuclei.max()} nuclei", markup=False, highlight=False)
        views.append(view)
    if not views:
        message = f"no stain in {folder} lies on its image; look whether the files of a pair show the same view"
        raise SettingsError(message, reason="not_registered")
    return (views[:1], views[1:]) if alone else split(views, plan.hold_back)


def _taught(folder: Path, pixel_size_um: float | None, look: Look, console: Console) -> list[TaughtFrame]:
    """Label the images below a folder; those of one folder and size are taken for a series in the order of names.

    Label images that lie among them are passed over.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not is_labels(path))
    taught: list[TaughtFrame] = []
    n_frames = 0
    for _, series in groupby(_frames(files, folder, pixel_size_um, console), lambda named: named[0]):
        frames = [frame for _, frame in series]
        n_frames += len(frames)
        taught += teach(look, frames, in_sequence=len(frames) > 1)
    share = 100.0 * taught_fraction(taught)
    console.print(f"{len(taught)} of {n_frames} unlabelled frames teach, by {share:.0f} % of their pixels")
    if not taught:
        message = f"the weights are sure of nothing in {folder}; label five fields of it instead"
        raise SettingsError(message, reason="nothing_taught")
    return taught


def _frames(
    files: Sequence[Path], folder: Path, pixel_size_um: float | None, console: Console
) -> Iterator[tuple[tuple[Path, tuple[int, int]], Frame]]:
    for path in _shown(files, len(files), "labelling frames", console):
        try:
            frame = read_frame(path, root=folder, pixel_size_um=pixel_size_um, limits=ReadLimits())
        except FrameRejected as error:
            console.print(f"{path} is left out: {error}", markup=False, soft_wrap=True)
        else:
            yield (path.parent, frame.shape), frame


def _shown(work: Iterable[Item], total: int, name: str, console: Console) -> Iterable[Item]:
    return track(work, name, total=total, console=console, disable=not console.is_terminal)


def _labelled_field(image: LabelledImage) -> Field:
    return make_field(image.pixels, image.cells, image.nuclei, image.pixel_size_um)


def _stained_field(view: StainedView) -> Field:
    return make_field(
        view.pixels,
        view.cells,
        view.nuclei,
        view.pixel_size_um,
        cells_known=view.cells_known,
        nuclei_known=view.nuclei_known,
    )


def _taught_field(taught: TaughtFrame) -> Field:
    frame = taught.frame
    return make_field(frame.pixels, taught.cells, None, frame.pixel_size_um, cells_known=taught.cells_known)


def _simulated_field(seed: int) -> Field:
    phantom = simulate_frame(seed)
    return make_field(phantom.pixels, phantom.cells, phantom.nuclei, phantom.pixel_size_um)
