"""The door for Python gives what the chain gives, and says so where something should not be relied on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cases.phantoms import phantom
from numpy.typing import NDArray

import monitor
from monitor.api import load_potency_model, measure, predict, read_frame, segment_image
from monitor.errors import FrameNotReady, FrameRejected, ModelRefused
from monitor.features import featurizer
from monitor.features.catalogue import FAMILIES
from monitor.features.featurizer import FrameFeatures
from monitor.frames.frame import Frame
from monitor.messages import EstimateState, SegmentedBy
from monitor.network.checkpoint import SHIPPED
from monitor.pipeline import Masks
from monitor.potency.model import DEMO, PotencyModel, load_model
from monitor.segmentation.segmenter import Segmentation, load_segmenter
from monitor.synthetic.culture import Culture, CultureSpec
from services.chain.simulated_file import write_frame


@dataclass(frozen=True)
class Seen:
    """A simulated frame of a healthy flask, segmented and measured."""

    pixels: NDArray[np.uint16]
    pixel_size_um: float
    found: Segmentation
    features: FrameFeatures


@pytest.fixture(scope="module")
def seen() -> Seen:
    simulated = Culture(CultureSpec(flask="A1", seed=7)).frame("p1", 0)
    found = segment_image(simulated.pixels, simulated.pixel_size_um)
    return Seen(simulated.pixels, simulated.pixel_size_um, found, measure(simulated.pixels, found, families=()))


@pytest.fixture(scope="module")
def model() -> PotencyModel:
    return load_model(DEMO, rehearse=False)


def test_every_name_of_the_door_can_be_asked_for():
    for name in monitor.__all__:
        assert getattr(monitor, name) is not None
    assert set(monitor.__all__) <= set(dir(monitor))
    assert monitor.segment_image is segment_image


def test_name_that_there_is_not_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'monitor' has no attribute 'segment_images'"):
        _ = monitor.segment_images


def test_array_is_segmented_as_the_chain_does(seen: Seen):
    (expected,) = load_segmenter().segment([Frame(seen.pixels, seen.pixel_size_um)])

    assert isinstance(expected, Segmentation)
    np.testing.assert_array_equal(seen.found.cells, expected.cells)
    np.testing.assert_array_equal(seen.found.nuclei, expected.nuclei)
    assert seen.found.quality == expected.quality
    assert seen.found.quality.passes
    assert seen.found.n_cells > 10


def test_other_weights_give_other_outlines(seen: Seen):
    named = segment_image(seen.pixels, seen.pixel_size_um, weights="laboratories")
    by_file = segment_image(seen.pixels, seen.pixel_size_um, weights=SHIPPED)

    assert (named.cells != seen.found.cells).any()
    np.testing.assert_array_equal(by_file.cells, seen.found.cells)


def test_image_without_cells_says_that_it_is_not_to_be_relied_on():
    found = segment_image(np.zeros((128, 128), np.uint8), 1.0)

    assert not found.quality.passes
    assert found.quality.reason == "saturated"


def test_weights_that_there_are_not_are_refused(tmp_path: Path):
    with pytest.raises(ModelRefused) as caught:
        segment_image(np.zeros((128, 128), np.uint8), 1.0, weights=tmp_path / "none.json")

    assert caught.value.reason == "no_weights"


def test_measures_are_those_of_the_chain(seen: Seen):
    frame = Frame(seen.pixels, seen.pixel_size_um)

    whole = measure(frame, seen.found)

    expected = featurizer.measure(frame, seen.found.cells, seen.found.nuclei, families=tuple(FAMILIES))
    assert whole.population == expected.population
    assert set(seen.features.population) < set(whole.population)
    np.testing.assert_array_equal(seen.features.cells["area"], whole.cells["area"])


def test_labels_of_a_run_need_a_frame(seen: Seen):
    masks = Masks(
        seen.found.cells,
        seen.found.nuclei,
        seen.found.quality,
        SegmentedBy(engine="eager", engine_digest="e", weights_digest="w"),
    )
    frame = Frame(seen.pixels, seen.pixel_size_um)

    assert measure(frame, masks, families=()).population == seen.features.population
    with pytest.raises(TypeError, match="give the image as Frame"):
        measure(seen.pixels, masks)


def test_estimate_has_an_interval(seen: Seen, model: PotencyModel):
    estimate = predict(model, seen.features, seen.found)

    assert estimate.state is EstimateState.OK
    assert estimate.potency is not None and estimate.low is not None and estimate.high is not None
    assert estimate.low < estimate.potency < estimate.high


@pytest.mark.parametrize(
    ("passes", "min_cells", "reason"), [(False, None, "out_of_focus"), (True, 999, "too_few_cells")]
)
def test_what_cannot_be_judged_has_a_reason_and_no_number(
    seen: Seen, model: PotencyModel, passes: bool, min_cells: int | None, reason: str
):
    quality = seen.found.quality.model_copy(update={"passes": passes, "reason": None if passes else "out_of_focus"})
    found = Segmentation(seen.found.cells, seen.found.nuclei, quality, seen.pixel_size_um)

    estimate = predict(model, seen.features, found, min_cells=min_cells)

    assert (estimate.state, estimate.reason) == (EstimateState.NOT_ASSESSABLE, reason)
    assert estimate.potency is None


def test_demonstration_model_says_that_it_is_one(model: PotencyModel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("monitor.potency.model._rehearse", lambda folder: None)  # has its own test, and takes seconds
    with pytest.warns(UserWarning, match="demonstration potency model must not be used for any decision"):
        loaded = load_potency_model()

    assert loaded.digest == model.digest
    assert load_potency_model(str(DEMO)).digest == model.digest  # whoever names it knows


def test_folder_without_a_model_is_refused(tmp_path: Path):
    with pytest.raises(ModelRefused) as caught:
        load_potency_model(tmp_path)

    assert caught.value.reason == "no_model"


def test_frame_is_read_with_the_pixel_size_that_it_says(tmp_path: Path):
    truth = phantom(2)
    write_frame(truth, tmp_path / "a.tif")

    frame = read_frame(str(tmp_path / "a.tif"), pixel_size_um=9.0)

    np.testing.assert_array_equal(frame.pixels, truth.pixels)
    assert frame.pixel_size_um == pytest.approx(truth.pixel_size_um)


def test_what_cannot_be_read_is_said(tmp_path: Path):
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("no image at all")

    with pytest.raises(FrameNotReady):
        read_frame(tmp_path / "empty.tif")
    with pytest.raises(FrameRejected):
        read_frame(tmp_path / "text.tif")
    with pytest.raises(FileNotFoundError):
        read_frame(tmp_path / "none.tif")
