from pathlib import Path

import numpy as np
from cases.plain_engine import PlainEngine, disc_frame, disc_grid, plain_segmenter

from monitor.frames.frame import Frame
from services.training.looks import look_of


def test_a_look_is_taken_once_and_comes_back_from_the_disk(tmp_path: Path) -> None:
    engine = PlainEngine()
    frame = disc_frame(disc_grid(5))
    first = look_of(plain_segmenter(engine), tmp_path)(frame)
    taken = len(engine.shapes)
    again = look_of(plain_segmenter(engine), tmp_path)(frame)
    assert first is not None and again is not None
    assert taken == len(engine.shapes) == 1
    assert (first.cells == again.cells).all() and first.cells.max() == 5
    assert (first.stain == again.stain).all() and first.stain.shape == (2, *frame.shape)
    assert first.reliable == again.reliable is True


def test_other_pixels_scale_or_engine_are_looked_at_anew(tmp_path: Path) -> None:
    engine, other = PlainEngine(), PlainEngine(digest="plain-2")
    frame = disc_frame(disc_grid(5))
    look = look_of(plain_segmenter(engine), tmp_path)
    look(frame)
    look(Frame(frame.pixels, 1.1))
    look(disc_frame(disc_grid(6)))
    assert len(engine.shapes) == 3
    look_of(plain_segmenter(other), tmp_path)(frame)
    assert len(other.shapes) == 1


def test_what_cannot_be_segmented_is_none(tmp_path: Path) -> None:
    assert look_of(plain_segmenter(), tmp_path)(Frame(np.full((160, 192), np.nan, np.float32), 1.0)) is None
