from dataclasses import replace

import numpy as np
import torch

from monitor.training.paste import Planes, pasted
from monitor.training.targets import centre_map


def planes(*squares: tuple[int, int], level: float, side: int = 12) -> Planes:
    """Hand-made planes: squares at `level` with a nucleus of four pixels each, on a ground of a tenth of it."""
    cells, nuclei = np.zeros((2, 64, 64), np.int32)
    for number, (row, column) in enumerate(squares, start=1):
        cells[max(row, 0) : row + side, column : column + side] = number
        nuclei[row + 4 : row + 6, column + 4 : column + 6] = number
    pixels = np.where(cells > 0, level, 0.1 * level).astype(np.float32)
    made = (pixels, cells, nuclei, centre_map(cells), centre_map(nuclei))
    known = torch.ones(1, 64, 64, dtype=torch.bool)
    return Planes(*(torch.from_numpy(plane)[None] for plane in made), known, known)


def laid(there: Planes, donor: Planes) -> dict[str, np.ndarray]:
    """Return the planes of the one crop after cells were laid over it."""
    found = pasted(there, donor, 8, torch.Generator().manual_seed(0))
    return {name: getattr(found, name)[0].numpy() for name in Planes.__slots__}


def one(planes: Planes, name: str) -> np.ndarray:
    plane: np.ndarray = getattr(planes, name)[0].numpy()
    return plane


def test_a_pasted_cell_brings_its_pixels_labels_and_targets() -> None:
    there, donor = planes((10, 10), level=1.0), planes((40, 40), level=3.0)
    found = laid(there, donor)
    new, old = one(donor, "cells") > 0, one(there, "cells") == 1
    assert (found["pixels"][new] == 3.0).all()
    assert sorted(np.unique(found["cells"])) == [0, 1, 2]
    assert ((found["cells"] == 2) == new).all()
    assert ((found["nuclei"] == 2) == (one(donor, "nuclei") > 0)).all()
    assert (found["cell_centre"][new] == one(donor, "cell_centre")[new]).all()
    # the old cell stays, and the new one fades into its place
    assert ((found["cells"] == 1) == old).all()
    assert (found["pixels"][old] == 1.0).all()
    assert 0.1 < found["pixels"][45, 54] < 0.3
    assert found["pixels"][45, 60] == np.float32(0.1)


def test_a_pasted_cell_covers_what_lies_under_it() -> None:
    found = laid(planes((10, 10), level=1.0), planes((10, 16), level=3.0))
    assert (found["cells"][10:22, 16:28] == 2).all()
    assert (found["cells"] == 1).sum() == 12 * 6


def test_cells_that_the_border_cuts_are_not_pasted() -> None:
    there, donor = planes((10, 10), level=1.0), planes((-4, 40), level=3.0)
    found = laid(there, donor)
    for name in Planes.__slots__:
        assert (found[name] == one(there, name)).all(), name


def test_a_pasted_cell_whose_nuclei_nobody_labelled_leaves_them_unknown() -> None:
    there, donor = planes((10, 10), level=1.0), planes((40, 40), level=3.0)
    bare = replace(donor, nuclei=torch.zeros_like(donor.nuclei), nuclei_known=torch.zeros_like(donor.nuclei_known))
    found = laid(there, bare)
    assert (found["cells"] == 2).any()
    assert (~found["nuclei_known"] == (one(donor, "cells") > 0)).all()


def test_one_to_three_cells_are_pasted_and_every_cell_has_its_turn() -> None:
    empty = planes(level=1.0)
    donor = planes((4, 4), (4, 40), (40, 4), (40, 40), level=3.0)
    random = torch.Generator().manual_seed(1)
    counts, seen = set(), set()
    for _ in range(60):
        found = pasted(empty, donor, 8, random).cells.unique()[1:].tolist()
        counts.add(len(found))
        seen |= set(found)
    assert counts == {1, 2, 3}
    assert seen == {1, 2, 3, 4}


def test_the_halo_falls_off_with_the_euclidean_distance() -> None:
    there, donor = planes(level=0.0), planes((30, 30), level=1.0, side=1)
    blank = replace(donor, pixels=torch.ones_like(donor.pixels))
    y, x = np.mgrid[:64, :64]
    expected = np.clip(1.0 - np.hypot(y - 30, x - 30) / 5.0, 0.0, 1.0)
    assert np.abs(laid(there, blank)["pixels"] - expected).max() < 1e-6


def test_crops_of_a_batch_do_not_mix() -> None:
    pairs = [
        (planes((10, 10), level=1.0), planes((40, 40), level=3.0)),
        (planes((8, 30), level=2.0), planes(level=5.0)),
    ]
    both = (
        Planes(*(torch.cat([getattr(pair[side], name) for pair in pairs]) for name in Planes.__slots__))
        for side in (0, 1)
    )
    found = pasted(*both, 8, torch.Generator().manual_seed(2))
    assert torch.equal(found.cells[1], pairs[1][0].cells[0])
    assert torch.equal(found.pixels[1], pairs[1][0].pixels[0])
    assert (found.cells[0] == 2).any()
