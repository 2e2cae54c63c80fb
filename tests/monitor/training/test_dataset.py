import numpy as np
from cases.phantoms import phantom

from monitor.frames.normalize import normalize
from monitor.training.dataset import make_field
from monitor.training.targets import centre_map


def test_a_field_is_normalised_and_has_its_targets() -> None:
    truth = phantom(1, covered=0.4)
    field = make_field(truth.pixels, truth.cells, truth.nuclei, truth.pixel_size_um)
    assert (field.pixels == normalize(truth.pixels, truth.pixel_size_um)).all()
    assert (field.cell_centre == centre_map(truth.cells)).all()
    assert (field.nucleus_centre == centre_map(truth.nuclei)).all()
    assert field.cells_known.all() and field.nuclei_known.all()
    assert field.cells.dtype == field.nuclei.dtype == np.int32
