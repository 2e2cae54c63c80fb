"""Growing trees: one head of a biomarker, and the choice of how many and how large."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.potency.biomarker import HEADS, QUANTILES, Kind
from monitor.potency.calibration import logistic

Matrix = NDArray[np.float64]
Tick = Callable[[], None]
"""Called after every head that was grown."""
BASE: dict[str, Any] = {
    "learning_rate": 0.05, "feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 1.0,
    "deterministic": True, "force_col_wise": True, "verbosity": -1,
}  # fmt: skip
LEAVES = (4, 15)
ROUNDS = (25, 50, 100, 200, 300)
ROWS_PER_LEAF = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """Size and number of trees."""

    leaves: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Grower:
    """Grows the heads of one kind of biomarker."""

    kind: Kind
    threads: int = 2
    seed: int = 0

    def grow(self, head: str, rows: Matrix, target: Matrix, choice: Choice) -> Any:  # noqa: ANN401 (lightgbm.Booster)
        """Return the booster of a head, trained on rows (N, F) and target (N,)."""
        import lightgbm

        leaf = max(3, min(ROWS_PER_LEAF, len(rows) // 15))
        parameters = BASE | self._objective(head) | {
            "num_leaves": choice.leaves, "min_data_in_leaf": leaf, "num_threads": self.threads, "seed": self.seed,
        }  # fmt: skip
        data = lightgbm.Dataset(rows, target, params={"verbosity": -1, "num_threads": self.threads})
        return lightgbm.train(parameters, data, choice.rounds)

    def heads(self, rows: Matrix, target: Matrix, choice: Choice, tick: Tick) -> dict[str, Any]:
        """Return the boosters of all heads."""
        grown = {}
        for head in HEADS[self.kind]:
            grown[head] = self.grow(head, rows, target, choice)
            tick()
        return grown

    def answers(self, boosters: dict[str, Any], rows: Matrix) -> Matrix:
        """Return (N, H) what the heads say of rows (N, F): sorted quantiles, or the margin."""
        raw = {} if self.kind == "regressor" else {"raw_score": True}
        return np.sort(
            np.column_stack([booster.predict(rows, num_threads=self.threads, **raw) for booster in boosters.values()]),
            axis=1,
        )

    def choose(self, rows: Matrix, target: Matrix, fold: NDArray[np.int64], tick: Tick) -> tuple[Choice, Matrix]:
        """Return the choice that loses least on held-out folds (N,), and its held-out answers (N,), raw.

        Rounds cost nothing to compare: the first trees of a long row are a short one.
        """
        main = HEADS[self.kind][len(HEADS[self.kind]) // 2]
        found: dict[Choice, Matrix] = {
            Choice(leaves, rounds): np.empty(len(target)) for leaves in LEAVES for rounds in ROUNDS
        }
        for number in np.unique(fold):
            test = fold == number
            for leaves in LEAVES:
                booster = self.grow(main, rows[~test], target[~test], Choice(leaves, ROUNDS[-1]))
                tick()
                for rounds in ROUNDS:
                    answer = booster.predict(rows[test], num_iteration=rounds, raw_score=True, num_threads=self.threads)
                    found[Choice(leaves, rounds)][test] = answer
        best = min(found, key=lambda choice: float(self.losses(target, found[choice]).mean()))
        return best, found[best]

    def losses(self, target: Matrix, answer: Matrix) -> Matrix:
        """Return (N,) squared errors of a regressor's middle, or negative log likelihoods of a classifier's margin."""
        if self.kind == "regressor":
            squared: Matrix = (target - answer) ** 2
            return squared
        probability = np.clip(logistic(answer), 1e-12, 1.0 - 1e-12)
        return -np.log(np.where(target > 0.5, probability, 1.0 - probability))

    def _objective(self, head: str) -> dict[str, Any]:
        if self.kind == "classifier":
            return {"objective": "binary"}
        if head == "middle":
            return {"objective": "regression"}
        return {"objective": "quantile", "alpha": QUANTILES[head]}
