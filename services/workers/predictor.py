"""The predictor worker: label images in; estimates, drift events and alarms out, per flask.

Measuring is a pure function of the frame; the flask's history is a pure fold over its stored rows. Each flask is
brought up to date in one write transaction, so several predictors may meet on a flask and still agree.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from monitor.culture.rows import ConditionRow, CultureRow, FrameRow, OperatorRow, SilenceRow, fold_order
from monitor.culture.state import FlaskState, fold
from monitor.errors import CellvigilError
from monitor.messages import (
    AlarmChanged,
    ConditionObserved,
    FlaskSilent,
    FrameSegmented,
    OperatorActed,
    PotencyEstimated,
)
from monitor.pipeline import Masks, estimates_from, measure_frame
from services.store.record import FlaskTransaction, Record
from services.transport.blobs import LabelStore
from services.transport.stage import Done, Outcome, Publication, Reject, Retry
from services.transport.streams import ALARMS, ESTIMATES, FLASK_EVENTS
from services.workers.frame_files import FrameFiles

if TYPE_CHECKING:
    from monitor.culture.settings import CultureSettings
    from monitor.potency.model import PotencyModel

Input = FrameSegmented | FlaskSilent | OperatorActed | ConditionObserved


class PredictorStage:
    """Measures frames and folds flasks.

    Parameters
    ----------
    frames
        The watched folder, for the intensities of the original pixels.
    record, labels
        Where rows are kept and label images are read from.
    load
        Makes the potency model; called once, in `warm_up`.
    culture
        How rolling states and alarms are folded.
    configuration
        Digest of the settings that can change a number, stored with every estimate.
    """

    name = FLASK_EVENTS.group

    def __init__(
        self,
        *,
        frames: FrameFiles,
        record: Record,
        labels: LabelStore,
        load: "Callable[[], PotencyModel]",
        culture: "CultureSettings",
        configuration: str,
    ) -> None:
        self._frames = frames
        self._record = record
        self._labels = labels
        self._load = load
        self._configuration = configuration
        self._model: PotencyModel | None = None
        self._culture = culture
        self._flasks = FlaskFolder(culture)

    def warm_up(self) -> None:
        """Load the potency model, check it on its golden rows, and measure once: no frame waits for a compiler."""
        self._model = self._load()
        _measure_once(self._model)

    def describe(self) -> dict[str, str]:
        """Nothing to add."""
        return {}

    def prefetch(self, batch: Sequence[Input]) -> None:
        """Nothing is read ahead: label images are small and in the page cache."""

    def process(self, batch: Sequence[Input]) -> list[Outcome]:
        """Return one outcome per message, with the estimates and events that it brought."""
        measured = [self._row(message) for message in batch]
        flasks: dict[str, list[CultureRow]] = defaultdict(list)
        for row in measured:
            if not isinstance(row, CellvigilError):
                flasks[row.flask].append(row)
        published: dict[str, tuple[Publication, ...]] = {}
        for flask, rows in flasks.items():
            with self._record.flask(flask) as transaction:
                for row in sorted(rows, key=fold_order):
                    published[row.row_id] = self._flasks.bring_in(flask, row, transaction)
        return [_outcome(row, published) for row in measured]

    def _row(self, message: Input) -> CultureRow | CellvigilError:
        if isinstance(message, FlaskSilent):
            return SilenceRow.of(message)
        if isinstance(message, OperatorActed):
            return OperatorRow.of(message)
        if isinstance(message, ConditionObserved):
            return ConditionRow.of(message)
        try:
            return self._measured(message)
        except CellvigilError as error:
            return error

    def _measured(self, message: FrameSegmented) -> FrameRow:
        if self._model is None:
            raise RuntimeError("warm_up was not called")
        masks = Masks(
            cells=self._labels.get(message.cells),
            nuclei=self._labels.get(message.nuclei),
            quality=message.quality,
            by=message.by,
        )
        return measure_frame(
            message.frame,
            self._frames.read(message.frame),
            masks,
            self._model,
            min_cells=self._culture.min_cells,
            configuration=self._configuration,
        )


class FlaskFolder:
    """Keeps each flask's fold at hand, so that the next frame in order costs one step and not the whole history."""

    def __init__(self, settings: "CultureSettings") -> None:
        self._settings = settings
        self._states: dict[str, tuple[FlaskState, int, CultureRow]] = {}

    def bring_in(self, flask: str, row: CultureRow, transaction: FlaskTransaction) -> tuple[Publication, ...]:
        """Store a row, bring the flask's fold up to it, and return what to publish."""
        if not transaction.add(row):
            return self._again(flask, transaction)
        if isinstance(row, OperatorRow):
            transaction.audit_action(row.acted)
        kept = self._states.get(flask)
        if kept and kept[1] + 1 == transaction.count() and fold_order(kept[2]) < fold_order(row):
            return self._append(flask, kept[0], row, transaction)
        if transaction.count() == 1:
            return self._append(flask, FlaskState(flask, self._settings), row, transaction)
        return self._refold(flask, transaction)

    def _append(
        self, flask: str, state: FlaskState, row: CultureRow, transaction: FlaskTransaction
    ) -> tuple[Publication, ...]:
        step = state.step(row)
        self._states[flask] = (state, transaction.count(), row)
        estimates = estimates_from([(row, step)], {})
        transaction.put_estimates(estimates)
        transaction.put_drifts(step.drifts)
        alarms = transaction.put_alarms(step.alarms)
        if step.transitions:
            transaction.audit_moves(step.transitions)
            transaction.put_standings(state.standings())
        return _publications(estimates, alarms)

    def _refold(self, flask: str, transaction: FlaskTransaction) -> tuple[Publication, ...]:
        rows = transaction.rows()
        state = FlaskState(flask, self._settings)
        history = [(row, state.step(row)) for row in rows]
        self._states[flask] = (state, len(rows), rows[-1])
        estimates = estimates_from(history, transaction.estimates())
        transaction.put_estimates(estimates)
        transaction.put_drifts([drift for _, step in history for drift in step.drifts])
        events = [alarm for _, step in history for alarm in step.alarms]
        transaction.withdraw_alarms_except({event.event_id for event in events})
        transaction.audit_history([move for _, step in history for move in step.transitions])
        transaction.put_standings(state.standings())
        return _publications(estimates, transaction.put_alarms(events))

    def _again(self, flask: str, transaction: FlaskTransaction) -> tuple[Publication, ...]:
        """Publish everything of the flask once more: a crash may have come between the commit and the queue.

        Keys make each publication once only, so what did get out is not doubled.
        """
        history = fold(flask, transaction.rows(), self._settings)
        alarms = [alarm for _, step in history for alarm in step.alarms]
        return _publications(list(transaction.estimates().values()), alarms)


def _publications(estimates: Sequence[PotencyEstimated], alarms: Sequence[AlarmChanged]) -> tuple[Publication, ...]:
    return (
        *(Publication(ESTIMATES, f"estimate:{e.frame_id}:{e.revision}", e) for e in estimates),
        *(Publication(ALARMS.stream(), f"alarm:{a.event_id}", a) for a in alarms),
    )


def _outcome(row: CultureRow | CellvigilError, published: dict[str, tuple[Publication, ...]]) -> Outcome:
    if isinstance(row, CellvigilError):
        return Retry(row) if row.retryable else Reject(row)
    return Done(published.get(row.row_id, ()))


def _measure_once(model: "PotencyModel") -> None:
    """Measure two square cells, in every family of features that the model needs."""
    import numpy as np

    from monitor.features.catalogue import families_for
    from monitor.features.featurizer import measure
    from monitor.frames.frame import Frame

    cells, nuclei = np.zeros((96, 96), np.int32), np.zeros((96, 96), np.int32)
    for label, corner in ((1, 10), (2, 50)):
        cells[corner : corner + 30, corner : corner + 30] = label
        nuclei[corner + 10 : corner + 20, corner + 10 : corner + 20] = label
    pixels = 1000 + 200 * (cells > 0).astype(np.uint16)
    measure(Frame(pixels.astype(np.uint16), 1.0), cells, nuclei, families=families_for(model.contract.features))
