import numpy as np
import pytest
from cases.phantoms import phantom
from numpy.typing import NDArray

from monitor.frames.frame import Frame
from monitor.training.robustness import CHANGES, robustness, variants
from monitor.training.sources import LabelledImage


def labelled() -> LabelledImage:
    truth = phantom(1, covered=0.4)
    return LabelledImage("one", truth.pixels, truth.cells, truth.nuclei, truth.pixel_size_um)


def test_every_variant_is_the_image_changed_as_its_name_says() -> None:
    image = labelled()
    found = variants(image)
    clean = image.pixels.astype(np.float32)
    assert next(iter(found)) == "clean" and set(CHANGES) < set(found)
    spread = clean.std()
    assert found["gain x0.25"].pixels.std() == pytest.approx(0.25 * spread, rel=1e-3)
    assert np.corrcoef(found["inverted"].pixels.ravel(), clean.ravel())[0, 1] == pytest.approx(-1.0, abs=1e-4)
    assert found["uint8"].pixels.dtype == np.uint8
    for power in ("0.7", "1.4"):
        bent = found[f"gamma {power}"].pixels
        assert (bent.min(), bent.max()) == pytest.approx((clean.min(), clean.max()), rel=1e-3)
        assert (np.argsort(bent.ravel())[[0, -1]] == np.argsort(clean.ravel())[[0, -1]]).all()
    assert found["vignette"].pixels[0, 0] == pytest.approx(0.65 * clean[0, 0], rel=0.01)
    assert found["noise"].pixels.std() > spread
    fine = [np.abs(np.diff(found[name].pixels.astype(float), axis=0)).mean() for name in ("defocus 1.5 um", "clean")]
    assert fine[0] < 0.8 * fine[1]


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.5, 2.0])
def test_labels_are_resampled_with_the_pixels_and_cover_the_same_ground(factor: float) -> None:
    image = labelled()
    found = variants(image)[f"pixel size x{factor:g}"]
    assert found.pixels.shape == found.cells.shape == tuple(round(side / factor) for side in image.cells.shape)
    assert found.pixel_size_um == image.pixel_size_um * factor
    assert (found.cells > 0).mean() == pytest.approx((image.cells > 0).mean(), abs=0.01)
    assert found.cells.max() == image.cells.max()


def test_the_same_variants_come_again() -> None:
    first, again = variants(labelled()), variants(labelled())
    assert all((first[name].pixels == again[name].pixels).all() for name in first)


def test_scores_are_told_apart_by_change() -> None:
    """A segmenter that knows the labels of the clean image only, however the others are scaled or changed."""
    image = labelled()

    def knows_the_clean_one(frame: Frame) -> tuple[NDArray[np.int32], NDArray[np.int32], str | None]:
        clean = frame.shape == image.cells.shape and (frame.pixels == image.pixels).all()
        cells = image.cells if clean else np.zeros(frame.shape, np.int32)
        return cells, np.zeros_like(cells), None

    found = robustness(knows_the_clean_one, [image])
    assert found.pop("clean") == 1.0
    assert len(found) == 15 and set(found.values()) == {0.0}
