"""Whether a table as a whole is of the training's kind: what no single row can say.

Rows of another experiment may each look familiar. Cells on a soft gel are small cells on a stiff one, and a model of
the stiff one gives them probabilities that do not hold. Only all of them together show it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

from monitor.potency.model import PotencyModel
from services.potency.table_file import TableFile

Matrix = NDArray[np.float64]
UNLIKELY = 0.001
"""A table of the training's kind is doubted with this chance at most, by each of the two questions."""
LEAST_MOVE = 0.3
"""Standard deviations of the training rows; a smaller move may be sure in a long table, and matters little."""


def doubt_of_table(
    model: PotencyModel, file: TableFile, rows: Matrix, assessed: NDArray[np.bool_], refused: int
) -> str:
    """Return why a table is not of the training's kind; empty where nothing speaks against it.

    rows: (A, F) those of `assessed` (N,); refused: how many others are unlike the training rows.
    """
    judged = refused + len(rows)
    flasks = len(set(file.columns["flask"])) if "flask" in file.columns else judged
    doubt = unlike_as_a_whole(refused, judged, flasks, model.calibration.familiarity.false_alarm)
    if doubt or not len(rows):
        return doubt
    return _elsewhere(model, file, rows, assessed)


def unlike_as_a_whole(refused: int, judged: int, flasks: int, false_alarm: float) -> str:
    """Return a warning where so many of the rows judged are unfamiliar that the whole table is of another kind.

    Refusing single rows leaves those that happen to look familiar, and their answers are as doubtful: so it was when a
    model of one gel stiffness was asked about the other. The chance of so many refusals is that of independent
    flasks, of rows where flasks are not known. Empty where nothing speaks against the table.

    >>> unlike_as_a_whole(41, 927, 927, 0.05)
    ''
    >>> unlike_as_a_whole(223, 1544, 1544, 0.05)[:49]
    '14 % of the rows are unlike the training rows, wh'
    """
    if not judged or refused <= 2.0 * false_alarm * judged:
        return ""
    units = min(flasks, judged)
    if binom.sf(int(units * refused / judged) - 1, units, false_alarm) > UNLIKELY:
        return ""
    return (
        f"{refused / judged:.0%} of the rows are unlike the training rows, where {false_alarm:.0%} of rows of the same "
        "kind would be. This looks like another experiment: do not rely on the other estimates either"
    ).replace("%", " %")


def moved(mean: Matrix, learnt: int, new: int) -> bool:
    """Whether the farthest of the means (F,), in deviations of training rows, is too far for the training's kind.

    The mean of independent samples varies by no more than a row does over the root of their number: of the `learnt`
    samples of the training, and of the `new` ones. Bonferroni's limit over the features.

    >>> moved(np.array([1.0, 0.0]), 2400, 600), moved(np.array([1.0, 0.0]), 6, 3), moved(np.array([0.1]), 2400, 10**6)
    (True, False, False)
    """
    limit = float(norm.isf(UNLIKELY / 2.0 / len(mean))) * float(np.sqrt(1.0 / learnt + 1.0 / new))
    return bool(np.abs(mean).max() > max(LEAST_MOVE, limit))


def _elsewhere(model: PotencyModel, file: TableFile, rows: Matrix, assessed: NDArray[np.bool_]) -> str:
    """Return a warning where the assessed rows, each familiar, lie elsewhere than the training rows."""
    learnt = _learnt(model.card)
    if not learnt:
        return ""
    familiarity = model.calibration.familiarity
    standard = familiarity.standardised(rows[:, [model.contract.features.index(name) for name in familiarity.features]])
    sample = _samples(model.card, file)[assessed]
    _, which, counts = np.unique(sample, return_inverse=True, return_counts=True)
    mean = (standard / counts[which][:, None]).sum(axis=0) / len(counts)
    if not moved(mean, learnt, len(counts)):
        return ""
    farthest = int(np.abs(mean).argmax())
    return (
        "taken together the rows lie elsewhere than the training rows, most of all in "
        f"{familiarity.features[farthest]} ({abs(mean[farthest]):.1f} standard deviations "
        f"{'higher' if mean[farthest] > 0.0 else 'lower'} on average). This looks like another experiment: "
        "probabilities and intervals need not hold for it"
    )


def _learnt(card: Mapping[str, Any]) -> int:
    """Return how many independent samples a model was trained on, 0 where its card does not say."""
    key = "groups" if card.get("grouped_by") else "units"
    reports = [report for report in dict(card.get("scores", {})).values() if isinstance(report, Mapping)]
    return max((int(report.get(key, 0)) for report in reports), default=0)


def _samples(card: Mapping[str, Any], file: TableFile) -> NDArray[np.str_]:
    """Return what each row of a table (N,) is a sample of: as in the training, where the table says it.

    All rows are one sample where a model of groups is asked about a table that names none.
    """
    by = card.get("grouped_by")
    name = by if by else "flask"
    if name in file.columns:
        return np.array(file.columns[name], str)
    return np.array(["" if by else str(line) for line in file.lines])
