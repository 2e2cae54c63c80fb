"""What arrays become frames, and what is said of the others."""

import numpy as np
import pytest

from monitor.errors import FrameRejected
from monitor.frames.from_array import frame_of

GREY = np.arange(64 * 80, dtype=np.uint16).reshape(64, 80)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_array_of_a_frames_type_is_taken_without_a_copy(dtype: str):
    pixels = (GREY % 200).astype(dtype)

    frame = frame_of(pixels, 0.87)

    assert np.shares_memory(frame.pixels, pixels)
    assert (frame.shape, frame.pixels.dtype, frame.pixel_size_um) == ((64, 80), np.dtype(dtype), 0.87)
    assert pixels.flags.writeable and not frame.pixels.flags.writeable


@pytest.mark.parametrize("dtype", ["float64", ">u2", ">f4"])
def test_other_precision_and_byte_order_become_the_native_one(dtype: str):
    frame = frame_of(GREY.astype(dtype), 0.87)

    assert frame.pixels.dtype.isnative
    assert frame.pixels.dtype.name in ("uint16", "float32")
    np.testing.assert_array_equal(frame.pixels, GREY)


def test_grey_in_colour_dress_is_the_grey_itself():
    grey = (GREY % 256).astype(np.uint8)

    frame = frame_of(np.dstack([grey, grey, grey]), 0.87)

    np.testing.assert_array_equal(frame.pixels, grey)


@pytest.mark.parametrize(
    ("pixels", "size_um", "reason"),
    [
        (GREY[None], 0.87, "wrong_axes"),
        (GREY[0], 0.87, "wrong_axes"),
        (np.zeros((0, 64), np.uint8), 0.87, "wrong_axes"),
        (GREY.astype(np.int64), 0.87, "wrong_dtype"),
        (GREY > 5, 0.87, "wrong_dtype"),
        (np.where(GREY > 5, np.nan, 1.0), 0.87, "not_finite"),
        (np.full((64, 64), 1e300), 0.87, "not_finite"),
        (np.zeros((64, 64, 4), np.uint8), 0.87, "rgb"),
        (GREY, 0.0, "bad_pixel_size"),
        (GREY, float("nan"), "bad_pixel_size"),
        (GREY, 87.0, "bad_pixel_size"),
    ],
)
def test_what_is_no_frame_has_a_reason(pixels: np.ndarray, size_um: float, reason: str):
    with pytest.raises(FrameRejected) as caught:
        frame_of(pixels, size_um)

    assert caught.value.reason == reason
