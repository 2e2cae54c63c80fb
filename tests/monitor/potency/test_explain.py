"""Why an estimate is what it is, and the cells that carry it."""

from pathlib import Path

import numpy as np
import pytest
from cases.potency_table import train

from monitor.potency.carriers import draw_carriers, find_carriers
from monitor.potency.explain import Driver, explain, explain_frame
from monitor.potency.model import PotencyModel, load_model
from monitor.potency.reference import FeatureReference

DRIVER = Driver("area_median", "median cell area", "um2", 2620.0, 2000.0, 48.0, -4.2, "IDO", "pg/mL")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PotencyModel:
    folder = tmp_path_factory.mktemp("model")
    train(folder)
    return load_model(folder, rehearse=False)


def test_a_driver_is_said_in_words_and_units() -> None:
    assert DRIVER.percent == pytest.approx(31.0)
    wanted = "median cell area 31 % above the reference at hour 48 (2620 against 2000 um2): lowers IDO by 4.2 pg/mL"
    assert DRIVER.sentence() == wanted


def test_the_demonstration_model_knows_what_is_usual_of_every_feature() -> None:
    demo = load_model(rehearse=False)
    assert set(demo.spec.reference.medians) == set(demo.contract.features)
    usual = {name: medians[0] for name, medians in demo.spec.reference.medians.items()}
    drivers = explain_frame(demo, usual, None, len(usual))
    assert {driver.feature for driver in drivers} <= set(usual)
    assert all(driver.usual is not None and "the reference" in driver.sentence() for driver in drivers)


def test_effects_add_up_to_the_difference_between_estimates(model: PotencyModel) -> None:
    rows = np.array([[1700.0, 0.18, 0.4], [4200.0, 0.07, 0.4]])
    effects = model.contributions("potency", rows).sum(axis=1)
    middle = model.answers(rows)["potency"][:, 1]
    assert effects[0] - effects[1] == pytest.approx(middle[0] - middle[1], abs=1e-6)


def test_the_feature_that_makes_the_potency_comes_first(model: PotencyModel) -> None:
    (drivers,) = explain(model, "potency", np.array([[4300.0, 0.12, 0.4]]))
    assert drivers[0].feature == "area_median"
    assert drivers[0].effect < -10.0
    assert drivers[0].usual == pytest.approx(3000.0, rel=0.1)
    assert "above the reference" in drivers[0].sentence() and "lowers potency" in drivers[0].sentence()
    frame = {"area_median": 4300.0, "nucleus_cytoplasm_ratio_median": 0.12, "confluency": 0.4}
    assert explain_frame(model, frame) == drivers
    assert explain_frame(model, {"area_median": 4300.0}) == ()


def test_the_reference_is_that_of_the_nearest_hour() -> None:
    rows = np.array([[10.0], [12.0], [30.0], [32.0]])
    reference = FeatureReference.fit("training", ["area"], rows, np.array([24.0, 24.0, 48.0, 48.0]))
    assert reference.at("area", 20.0) == (11.0, 24.0)
    assert reference.at("area", 60.0) == (31.0, 48.0)
    assert reference.at("area", None) == (21.0, None)
    assert reference.at("width", 24.0) is None


def squares() -> tuple[np.ndarray, np.ndarray]:
    """A frame with four square cells of sides 4, 8, 12 and 16; the last is cut by the border."""
    labels = np.zeros((64, 96), np.int32)
    for number, (y, x, side) in enumerate([(10, 10, 4), (10, 30, 8), (30, 50, 12), (0, 76, 16)], 1):
        labels[y : y + side, x : x + side] = number
    pixels = np.random.default_rng(0).normal(1000.0, 20.0, labels.shape)
    return pixels + 200.0 * labels, labels


def test_the_cells_furthest_on_the_side_of_the_feature_are_chosen() -> None:
    cells = {"area": np.array([16.0, 64.0, 144.0, 256.0]), "aspect_ratio": np.array([1.0, np.nan, 4.5, 9.0])}
    whole = np.array([True, True, True, False])
    above = find_carriers([DRIVER], cells, whole, count=2)
    assert above is not None and above.ids.tolist() == [3, 2]
    small = Driver("area_p10", "", "um2", 20.0, 30.0, None, 1.0, "IDO", "")
    below = find_carriers([small], cells, whole, count=2)
    assert below is not None and below.ids.tolist() == [1, 2]
    crowded = Driver("confluency", "confluency", "", 0.5, 0.3, None, 1.0, "IDO", "")
    spindle = Driver("fraction_spindle", "", "", 0.5, 0.3, None, 1.0, "IDO", "")
    chosen = find_carriers([crowded, spindle], cells, whole)
    assert chosen is not None and chosen.cell_feature == "aspect_ratio" and chosen.ids.tolist() == [3, 1]
    assert find_carriers([crowded], cells, whole) is None
    unknown = Driver("perimeter_median", "", "um", 20.0, None, None, 9.0, "IDO", "")
    known = find_carriers([unknown, small], cells | {"perimeter": np.arange(4.0)}, whole)
    assert known is not None and known.driver == small


def test_chosen_cells_are_drawn_with_their_outline(tmp_path: Path) -> None:
    pixels, labels = squares()
    carriers = find_carriers(
        [DRIVER], {"area": np.array([16.0, 64.0, 144.0, 256.0])}, np.array([True, True, True, False])
    )
    assert carriers is not None
    sheet = draw_carriers(pixels, labels, carriers, 0.5)
    noted = draw_carriers(pixels, labels, carriers, 0.5, "simulated")
    assert noted.size[1] == sheet.size[1] + 18
    sheet.save(tmp_path / "cells.png")
    drawn = np.asarray(sheet).reshape(-1, 3).astype(int)
    amber = (drawn[:, 0] > 200) & (drawn[:, 1] > 150) & (drawn[:, 2] < 90)
    assert amber.sum() > 100
    assert sheet.size[0] == 3 * 160
