import gc
from concurrent.futures import ThreadPoolExecutor

import lightgbm
import numpy as np
import pytest

from monitor.potency import single_row
from monitor.potency.model import DEMO, QUANTILES
from monitor.potency.single_row import SingleRowPredictor


def boosters() -> list[lightgbm.Booster]:
    return [lightgbm.Booster(model_file=DEMO / f"potency.{name}.txt") for name in QUANTILES]


def rows(booster: lightgbm.Booster, count: int = 50) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(0.0, 300.0, (count, booster.num_feature()))
    drawn[::7, ::5] = np.nan
    return drawn


def test_single_rows_are_predicted_as_by_the_booster() -> None:
    for booster in boosters():
        predictor = SingleRowPredictor(booster)
        assert predictor.fast
        wanted = booster.predict(rows(booster), num_threads=1)
        assert [predictor.predict(row) for row in rows(booster)] == wanted.tolist()


def test_several_predictors_do_not_disturb_each_other() -> None:
    made = [(SingleRowPredictor(booster), booster) for booster in boosters()]
    given = rows(made[0][1], 5)
    for row in given:
        for predictor, booster in made:
            assert predictor.predict(row) == booster.predict(row[None], num_threads=1)[0]
    made.pop(0)
    gc.collect()
    assert made[0][0].predict(given[0]) == made[0][1].predict(given[:1], num_threads=1)[0]


def test_threads_get_their_own_answers() -> None:
    booster = boosters()[0]
    predictor, given = SingleRowPredictor(booster), rows(booster, 400)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(predictor.predict, given))
    assert found == booster.predict(given, num_threads=1).tolist()


def test_a_row_of_another_length_is_refused() -> None:
    booster = boosters()[0]
    with pytest.raises(ValueError, match=f"{booster.num_feature()} are needed"):
        SingleRowPredictor(booster).predict(np.zeros(booster.num_feature() + 1))
    with pytest.raises(ValueError, match="are needed"):
        SingleRowPredictor(booster).predict(np.zeros((1, booster.num_feature())))


def test_without_the_fast_call_the_booster_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_row, "_library", lambda: None)
    booster = boosters()[1]
    predictor = SingleRowPredictor(booster)
    assert not predictor.fast
    row = rows(booster, 1)[0]
    assert predictor.predict(row) == booster.predict(row[None], num_threads=1)[0]
