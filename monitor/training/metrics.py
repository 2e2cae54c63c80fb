"""How predicted instances compare with hand-drawn ones: matches by overlap, counted over fields, then divided.

Definitions: a predicted and a true instance match at threshold t when their intersection over union (IoU) is at least
t, one to one, most matches first and then the largest IoU (Kuhn 1955). AP@t = TP / (TP + FP + FN) and F1@t = 2 TP /
(2 TP + FP + FN), as in Caicedo et al. 2019 ("Nucleus segmentation across imaging experiments", Nature Methods 16:1247);
mAP is the mean of AP over t = 0.50, 0.55 .. 0.95.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

THRESHOLDS = np.round(np.arange(0.5, 0.96, 0.05), 2)
MIN_TRUE_PX = 40
BRIGHT_SIGMAS = 8.0
BRIGHT_FRACTION = 0.2
STRANGE_OVERLAP = 0.1


@dataclass(frozen=True, slots=True)
class Matches:
    """Counts of one field.

    true, predicted: number of instances that count; hits, extras, misses: true positives, false positives and false
    negatives at each of `THRESHOLDS`; ious, area_ratios: of the matches at 0.5, predicted over true.
    """

    true: int
    predicted: int
    hits: NDArray[np.int64]
    extras: NDArray[np.int64]
    misses: NDArray[np.int64]
    ious: NDArray[np.float64]
    area_ratios: NDArray[np.float64]

    @property
    def ap50(self) -> float:
        """AP at IoU 0.5 of this field alone."""
        return float(self.hits[0] / max(self.hits[0] + self.extras[0] + self.misses[0], 1))


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores over fields: counts are summed first and divided then (micro average); see the module.

    count_error: mean over fields of |predicted - true| / true; area_ratio: median of predicted over true area.
    """

    fields: int
    true_instances: int
    ap50: float
    ap75: float
    mean_ap: float
    f1: float
    precision: float
    recall: float
    matched_iou: float
    area_ratio: float
    count_error: float


def match_instances(
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    pixels: NDArray[np.generic] | None = None,
    *,
    min_true_px: int = MIN_TRUE_PX,
) -> Matches:
    """Match two label images, (Y, X), 0 background.

    True instances below `min_true_px` pixels are left out. With `pixels` given, bright rounded cells that nobody
    annotated are no mistakes: a prediction that overlaps the truth by less than a tenth of its area and of which more
    than a fifth is brighter than the background by eight robust deviations is left out.
    """
    true, found = _compact(_without_small(_compact(truth), min_true_px)), _compact(predicted)
    n, m = int(true.max(initial=0)), int(found.max(initial=0))
    pairs = np.bincount(true.ravel() * (m + 1) + found.ravel(), minlength=(n + 1) * (m + 1)).reshape(n + 1, m + 1)
    true_area, found_area = pairs.sum(1)[1:], pairs.sum(0)[1:]
    shared = pairs[1:, 1:]
    iou = shared / np.maximum(true_area[:, None] + found_area[None, :] - shared, 1)
    ignored = np.zeros(m, bool)
    if pixels is not None:
        bright = np.bincount(found.ravel(), weights=_bright(pixels).ravel(), minlength=m + 1)[1:]
        strange = shared.sum(0) / np.maximum(found_area, 1) < STRANGE_OVERLAP
        ignored = strange & (bright / np.maximum(found_area, 1) > BRIGHT_FRACTION)
    counts = [_at(iou, ignored, float(threshold)) for threshold in THRESHOLDS]
    rows, columns = _pairs(iou, float(THRESHOLDS[0]))
    return Matches(
        true=n,
        predicted=int((~ignored).sum()),
        hits=np.array([hits for hits, _ in counts]),
        extras=np.array([extras for _, extras in counts]),
        misses=np.array([n - hits for hits, _ in counts]),
        ious=iou[rows, columns],
        area_ratios=found_area[columns] / true_area[rows],
    )


def score(fields: Iterable[Matches]) -> Scores:
    """Return the scores over fields; 0 where nothing matched."""
    every = list(fields)
    nothing = np.zeros(len(THRESHOLDS), np.int64)
    hits = sum((field.hits for field in every), nothing)
    extras = sum((field.extras for field in every), nothing)
    misses = sum((field.misses for field in every), nothing)
    ap = hits / np.maximum(hits + extras + misses, 1)
    ious = np.concatenate([field.ious for field in every]) if every else np.zeros(0)
    ratios = np.concatenate([field.area_ratios for field in every]) if every else np.zeros(0)
    errors = [abs(field.predicted - field.true) / max(field.true, 1) for field in every]
    return Scores(
        fields=len(every),
        true_instances=int(hits[0] + misses[0]),
        ap50=float(ap[0]),
        ap75=float(ap[5]),
        mean_ap=float(ap.mean()),
        f1=float(2 * hits[0] / max(2 * hits[0] + extras[0] + misses[0], 1)),
        precision=float(hits[0] / max(hits[0] + extras[0], 1)),
        recall=float(hits[0] / max(hits[0] + misses[0], 1)),
        matched_iou=float(ious.mean()) if ious.size else 0.0,
        area_ratio=float(np.median(ratios)) if ratios.size else 0.0,
        count_error=float(np.mean(errors)) if errors else 0.0,
    )


def joint_rate(
    true_cells: NDArray[np.integer],
    true_nuclei: NDArray[np.integer],
    cells: NDArray[np.integer],
    nuclei: NDArray[np.integer],
) -> float:
    """Return the share of true cells that are matched at 0.5 and hold as many nuclei as the truth says."""
    true, found = _compact(_without_small(_compact(true_cells), MIN_TRUE_PX)), _compact(cells)
    n, m = int(true.max(initial=0)), int(found.max(initial=0))
    if n == 0:
        return 0.0
    pairs = np.bincount(true.ravel() * (m + 1) + found.ravel(), minlength=(n + 1) * (m + 1)).reshape(n + 1, m + 1)
    union = pairs.sum(1)[1:, None] + pairs.sum(0)[None, 1:] - pairs[1:, 1:]
    rows, columns = _pairs(pairs[1:, 1:] / np.maximum(union, 1), 0.5)
    wanted, got = _nuclei_in(true, true_nuclei, n), _nuclei_in(found, nuclei, m)
    return float((wanted[rows + 1] == got[columns + 1]).sum() / n)


def _nuclei_in(cells: NDArray[np.int64], nuclei: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Return the number of nuclei by cell; a nucleus belongs to the cell that holds most of it."""
    names = _compact(nuclei)
    k = int(names.max(initial=0))
    overlap = np.bincount(names.ravel() * (count + 1) + cells.ravel(), minlength=(k + 1) * (count + 1))
    home = overlap.reshape(k + 1, count + 1)[1:].argmax(1)
    return np.bincount(home, minlength=count + 1)


def _at(iou: NDArray[np.float64], ignored: NDArray[np.bool_], threshold: float) -> tuple[int, int]:
    """Return true and false positives at a threshold."""
    _, columns = _pairs(iou, threshold)
    unused = np.ones(iou.shape[1], bool)
    unused[columns] = False
    return len(columns), int((unused & ~ignored).sum())


def _pairs(iou: NDArray[np.float64], threshold: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the best one-to-one assignment of those that reach the threshold."""
    if iou.size == 0:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    # one more for every match, so that many matches go before good ones
    rows, columns = linear_sum_assignment(-np.where(iou >= threshold, iou + 1.0, 0.0))
    matched = iou[rows, columns] >= threshold
    return rows[matched], columns[matched]


def _bright(pixels: NDArray[np.generic]) -> NDArray[np.bool_]:
    values = pixels.astype(np.float64)
    centre = np.median(values)
    sigma = 1.4826 * np.median(np.abs(values - centre)) or 1.0
    bright: NDArray[np.bool_] = values > centre + BRIGHT_SIGMAS * sigma
    return bright


def _without_small(labels: NDArray[np.int64], min_px: int) -> NDArray[np.int64]:
    area = np.bincount(labels.ravel())
    return np.where(area[labels] < min_px, 0, labels)


def _compact(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    _, inverse = np.unique(np.concatenate([[0], labels.ravel()]), return_inverse=True)
    return inverse[1:].reshape(labels.shape).astype(np.int64)
