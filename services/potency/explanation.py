"""The command that explains a frame of a state folder: what moved its potency, and the cells that carry it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from monitor.errors import SettingsError
from monitor.features.catalogue import families_for
from monitor.features.featurizer import measure
from monitor.frames.reader import ReadLimits
from monitor.messages import EstimateState, FrameSegmented, PotencyEstimated
from monitor.potency.carriers import Carriers, draw_carriers, find_carriers
from monitor.potency.explain import Driver, explain_frame
from monitor.potency.model import DEMO, PotencyModel, load_live_model
from services.demo_model import OF_DEMO, is_of_demo, warn_of_demo
from services.settings import Settings, settings_of
from services.state_folder import StateFolder, recorded_state
from services.store.record_sqlite import SqliteRecord
from services.transport.file_blobs import FileLabels
from services.whole_file import check_writable, write_png
from services.workers.frame_files import FrameFiles


def explain_command(folder: Path, frame_id: str | None, flask: str | None, out: Path | None, top: int) -> int:
    """Print why the latest assessed frame of a flask, or a frame by its id, got its estimate; draw its cells."""
    console = Console(stderr=False)
    if out is not None:
        check_writable(out)
    state = recorded_state(folder)
    settings = settings_of(state)
    with SqliteRecord(state.record, readonly=True) as record:
        estimate = _chosen(list(record.estimates(flask)), frame_id, flask)
        fact = record.segmentation(estimate.frame_id)
    _show_estimate(console, estimate)
    if estimate.estimate.state is not EstimateState.OK:
        console.print("there is no estimate to explain; --frame names another frame", markup=False)
        return 1
    model = load_live_model(settings.predictor.model or DEMO)
    if model.digest != estimate.provenance.potency_model:
        message = (
            f"the frame was judged by the potency model {estimate.provenance.potency_model[:12]}, and the one that is "
            f"configured now is {model.digest[:12]}; set predictor.model in {state.settings} to that one"
        )
        raise SettingsError(message, reason="model")
    if fact is None:
        message = f"the label image of frame {estimate.frame_id[:12]} is not in {folder}; choose another frame"
        raise SettingsError(message, reason="frame")
    warn_of_demo(console, [model.digest])
    return _explain(console, settings, state, fact, model, out, top)


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a frame's potency is what it is: strongest driver first, empty where a feature could not be measured.

    carriers: cells that carry it, None where no driver is about single cells; pixels (Y, X), cells: the frame and its
    label image.
    """

    drivers: tuple[Driver, ...]
    carriers: Carriers | None
    pixels: NDArray[np.generic]
    cells: NDArray[np.int32]


def explained(model: PotencyModel, settings: Settings, state: StateFolder, fact: FrameSegmented, top: int) -> Explained:
    """Measure a frame again and say which features moved its potency most.

    Raises
    ------
    FrameRejected
        The frame or its label images are gone or are others by now.
    FrameNotReady
        The folder cannot be read now.
    """
    limits = ReadLimits(max_bytes=settings.watch.max_frame_bytes)
    frame = FrameFiles(settings.watch.folder.resolve(), limits).read(fact.frame)
    labels = FileLabels(state.masks)
    cells = labels.get(fact.cells)
    features = measure(frame, cells, labels.get(fact.nuclei), families=families_for(model.contract.features))
    drivers = explain_frame(model, features.population, hours_of(fact), top)
    carriers = find_carriers(drivers, features.cells, features.whole) if drivers else None
    return Explained(drivers, carriers, frame.pixels, cells)


def hours_of(fact: FrameSegmented) -> float | None:
    """Return the age of the culture at a frame; None where its seeding is not known."""
    seeded = fact.frame.sample.seeded_at
    return None if seeded is None else (fact.frame.acquired_at - seeded).total_seconds() / 3600.0


def _explain(
    console: Console,
    settings: Settings,
    state: StateFolder,
    fact: FrameSegmented,
    model: PotencyModel,
    out: Path | None,
    top: int,
) -> int:
    found = explained(model, settings, state, fact, top)
    if not found.drivers:
        console.print("nothing to explain: a feature of the model could not be measured", markup=False)
        return 1
    for number, driver in enumerate(found.drivers, 1):
        console.print(f"{number}. {driver.sentence()}", markup=False, highlight=False, soft_wrap=True)
    if out is not None:
        if found.carriers is None:
            console.print("none of these is about single cells; no picture was drawn", markup=False)
            return 1
        note = OF_DEMO if is_of_demo([model.digest]) else ""
        picture = draw_carriers(found.pixels, found.cells, found.carriers, fact.frame.pixel_size_um, note)
        write_png(out, picture)
        console.print(f"{len(found.carriers.ids)} cells in {out}", markup=False, highlight=False)
    return 0


def _chosen(estimates: list[PotencyEstimated], frame_id: str | None, flask: str | None) -> PotencyEstimated:
    if frame_id is not None:
        found = [estimate for estimate in estimates if estimate.frame_id.startswith(frame_id)]
    else:
        found = [estimate for estimate in estimates if estimate.estimate.potency is not None] or estimates
    if not found:
        whose = f"frame {frame_id!r}" if frame_id else f"measured frame{f' of flask {flask!r}' if flask else ''}"
        message = f"there is no {whose}; `cellvigil results` lists frames with their ids"
        raise SettingsError(message, reason="frame")
    return max(found, key=lambda estimate: estimate.acquired_at)


def _show_estimate(console: Console, estimate: PotencyEstimated) -> None:
    found = estimate.estimate
    what = (
        f"potency {found.potency:.0f} % ({found.low:.0f} to {found.high:.0f})"
        if found.potency is not None
        else f"not assessable ({found.reason})"
    )
    key = estimate.key
    console.print(
        f"flask {key.flask}, position {key.position}, {estimate.acquired_at:%Y-%m-%d %H:%M} UTC: {what}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
