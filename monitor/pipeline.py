"""The whole story in one process: frame, masks, features, estimate, history. Every service test must equal this.

Read it after `messages.py`: the workers in `services` call the same functions, one stage each.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import monitor
from monitor.culture.rows import CultureRow, FrameRow
from monitor.culture.settings import CultureSettings
from monitor.culture.state import Step, fold
from monitor.errors import FrameRejected
from monitor.frames.frame import Frame
from monitor.messages import (
    AlarmChanged,
    DriftDetected,
    EngineParity,
    FrameArrived,
    FrameFailed,
    FrameQuality,
    PotencyEstimated,
    Provenance,
    SegmentedBy,
)

if TYPE_CHECKING:
    from monitor.potency.conditions import Value
    from monitor.potency.model import PotencyModel
    from monitor.segmentation.segmenter import Segmenter


@dataclass(frozen=True, slots=True)
class Masks:
    """What segmentation says of a frame: label images, quality, and who made them.

    Attributes
    ----------
    cells
        (Y, X) int32, 0 background, ids compact from 1.
    nuclei
        (Y, X) int32, 0 background, ids compact from 1; every nucleus lies within one cell.
    quality
        Whether the frame should be relied on.
    by
        Engine, weights, and how far they agreed with the reference.
    """

    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    quality: FrameQuality
    by: SegmentedBy


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What became of a series of frames.

    Attributes
    ----------
    estimates
        By frame_id.
    failures
        Of frames that could not be segmented or measured, by frame_id.
    drifts
        Events of detectors in order of time.
    alarms
        Changes of alarms in order of time.
    """

    estimates: dict[str, PotencyEstimated]
    failures: dict[str, FrameFailed]
    drifts: list[DriftDetected]
    alarms: list[AlarmChanged]


class Pipeline:
    """Runs the chain on frames that are given, in memory.

    Parameters
    ----------
    segmenter
        Makes the masks.
    model
        Makes the estimates.
    culture
        How flasks are followed; None is the default.
    configuration
        Digest of the settings, for the provenance of estimates.
    """

    def __init__(
        self,
        segmenter: "Segmenter",
        model: "PotencyModel",
        culture: CultureSettings | None = None,
        configuration: str = "none",
    ) -> None:
        self._segmenter = segmenter
        self._model = model
        self._culture = culture or CultureSettings()
        self._configuration = configuration

    def run(
        self,
        arrived: Sequence[FrameArrived],
        read: Callable[[FrameArrived], Frame],
        others: Sequence[CultureRow] = (),
    ) -> PipelineResult:
        """Run frames.

        Parameters
        ----------
        arrived
            The frames, in any order.
        read
            Returns the pixels of a frame that arrived; raises FrameRejected where there are none.
        others
            Rows that are not frames, such as silences.

        Returns
        -------
        PipelineResult
            What the services would have stored.
        """
        failures: dict[str, FrameFailed] = {}
        flasks: dict[str, list[CultureRow]] = {}
        for fact in arrived:
            try:
                row = self._row(fact, read(fact))
            except FrameRejected as error:
                failures[fact.frame_id] = FrameFailed(
                    frame_id=fact.frame_id, stage="pipeline", reason=error.reason, detail=str(error)
                )
            else:
                flasks.setdefault(row.flask, []).append(row)
        for other in others:
            flasks.setdefault(other.flask, []).append(other)
        return self._histories(flasks, failures)

    def _row(self, fact: FrameArrived, frame: Frame) -> FrameRow:
        (found,) = self._segmenter.segment([frame])
        if isinstance(found, FrameRejected):
            raise found
        masks = Masks(found.cells, found.nuclei, found.quality, segmented_by(self._segmenter))
        return measure_frame(
            fact, frame, masks, self._model, min_cells=self._culture.min_cells, configuration=self._configuration
        )

    def _histories(self, flasks: Mapping[str, list[CultureRow]], failures: dict[str, FrameFailed]) -> PipelineResult:
        estimates: dict[str, PotencyEstimated] = {}
        steps: list[Step] = []
        for flask, rows in flasks.items():
            history = fold(flask, rows, self._culture)
            estimates |= {estimate.frame_id: estimate for estimate in estimates_from(history, {})}
            steps += [step for _, step in history]
        drifts = sorted((d for step in steps for d in step.drifts), key=lambda d: (d.at, d.event_id))
        alarms = sorted((a for step in steps for a in step.alarms), key=lambda a: (a.at, a.event_id))
        return PipelineResult(estimates, failures, drifts, alarms)


def segmented_by(segmenter: "Segmenter", parity: EngineParity | None = None) -> SegmentedBy:
    """Return what a segmenter's results are made by.

    Parameters
    ----------
    segmenter
        Engine, weights and decoding.
    parity
        How far the engine agreed with the reference; None where it is the reference.

    Returns
    -------
    SegmentedBy
        Names and digests.
    """
    return SegmentedBy(
        engine=segmenter.engine_name,
        engine_digest=segmenter.engine_digest,
        weights_digest=segmenter.weights_digest,
        parity=parity,
    )


def measure_frame(
    arrived: FrameArrived,
    frame: Frame,
    masks: Masks,
    model: "PotencyModel",
    *,
    min_cells: int,
    configuration: str,
) -> FrameRow:
    """Turn a frame and its masks into the row that is stored: features and the frame's own estimate.

    Parameters
    ----------
    arrived
        Who the frame is, and what is known of its flask.
    frame
        Its pixels.
    masks
        What was segmented on it.
    model
        Says which features are measured, and estimates.
    min_cells
        A frame with fewer cells is not assessable.
    configuration
        Digest of the settings.

    Returns
    -------
    FrameRow
        A pure function of what was given.
    """
    from monitor.features.catalogue import families_for
    from monitor.features.featurizer import measure

    features = measure(frame, masks.cells, masks.nuclei, families=families_for(model.contract.features))
    n_cells = int(masks.cells.max(initial=0))
    return FrameRow(
        frame_id=arrived.frame_id,
        key=arrived.key,
        source=arrived.source,
        acquired_at=arrived.acquired_at,
        n_cells=n_cells,
        n_nuclei=int(masks.nuclei.max(initial=0)),
        quality=masks.quality,
        features=features.population,
        hours=_hours(arrived),
        estimate=model.estimate(
            features.population, masks.quality, n_cells, min_cells=min_cells, conditions=_conditions(arrived)
        ),
        provenance=Provenance(
            code_version=monitor.__version__,
            engine=masks.by.engine,
            engine_digest=masks.by.engine_digest,
            parity=masks.by.parity,
            weights=masks.by.weights_digest,
            feature_contract=model.contract.digest,
            potency_model=model.digest,
            calibration=model.calibration_digest,
            configuration=configuration,
        ),
    )


def _conditions(arrived: FrameArrived) -> "dict[str, Value]":
    """Return what the sample list says of the flask at the time of a frame, as potency models ask for it."""
    sample = arrived.sample
    return {
        "stimulation": sample.stimulation,
        "medium": sample.medium,
        "passage": None if sample.passage is None else float(sample.passage),
        "hours": _hours(arrived),
    }


def _hours(arrived: FrameArrived) -> float | None:
    """Return the age of the culture at a frame; None where its seeding is not known."""
    seeded_at = arrived.sample.seeded_at
    return None if seeded_at is None else (arrived.acquired_at - seeded_at).total_seconds() / 3600.0


def estimates_from(
    history: Sequence[tuple[CultureRow, Step]], previous: Mapping[str, PotencyEstimated]
) -> list[PotencyEstimated]:
    """Return the estimates of a folded history that are new, or whose rolling part changed, with their revision.

    Parameters
    ----------
    history
        Rows of one flask with what the fold said at each.
    previous
        What was published before, by frame_id.

    Returns
    -------
    list of PotencyEstimated
        In order of time.
    """
    changed = []
    for row, step in history:
        if not isinstance(row, FrameRow):
            continue
        before = previous.get(row.frame_id)
        if before is None or before.rolling != step.rolling:
            changed.append(_estimate(row, step, 0 if before is None else before.revision + 1))
    return changed


def _estimate(row: FrameRow, step: Step, revision: int) -> PotencyEstimated:
    return PotencyEstimated(
        frame_id=row.frame_id,
        key=row.key,
        source=row.source,
        acquired_at=row.acquired_at,
        n_cells=row.n_cells,
        n_nuclei=row.n_nuclei,
        quality=row.quality,
        estimate=row.estimate,
        rolling=step.rolling,
        revision=revision,
        provenance=row.provenance,
    )
