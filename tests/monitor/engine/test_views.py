import numpy as np

from monitor.engine.hardware import fingerprint, processor
from monitor.engine.views import SIDE_PX, calibration_views, parity_views


def test_frames_that_calibrate_an_engine_never_judge_it() -> None:
    calibrating, judging = calibration_views(), parity_views()
    assert len(calibrating) >= 8 and len(judging) >= 6
    for one in calibrating:
        assert not any(np.array_equal(one.pixels, other.pixels) for other in judging)
    for view in calibrating + judging:
        assert view.shape == (SIDE_PX, SIDE_PX)
        assert view.pixels.std() > 1.0


def test_views_are_the_same_every_time() -> None:
    for one, other in zip(parity_views(), parity_views(), strict=True):
        assert np.array_equal(one.pixels, other.pixels)


def test_the_processor_is_named_with_the_instructions_that_matter(tmp_path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name\t: Some CPU 9\nflags\t\t: fpu avx2 avx512_bf16 sse\n\n")
    assert processor(info) == {"processor": "Some CPU 9", "vector": "avx2 avx512_bf16"}
    assert processor(tmp_path / "none")["vector"] == ""
    assert fingerprint()["processor"]
