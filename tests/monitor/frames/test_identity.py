"""Who a frame is."""

import hashlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from monitor.frames.identity import FrameKey, frame_id_of


def test_key_reads_as_a_path_with_the_channel():
    key = FrameKey(flask="A1", position="p2", time_point="t000012")

    assert str(key) == "A1/p2/phase/t000012"
    assert key.channel == "phase"


@pytest.mark.parametrize("field", ["flask", "position", "time_point", "channel"])
@pytest.mark.parametrize("wrong", ["", "x" * 201, None, 7])
def test_name_is_text_of_one_to_two_hundred_characters(field: str, wrong: object):
    parts = {"flask": "A1", "position": "p2", "time_point": "t0"} | {field: wrong}

    with pytest.raises(ValidationError, match=field):
        FrameKey.model_validate(parts)


def test_key_can_be_a_dictionary_key_and_does_not_change():
    key = FrameKey(flask="A1", position="p2", time_point="t0")

    assert {key: 1}[FrameKey(flask="A1", position="p2", time_point="t0")] == 1
    with pytest.raises(ValidationError, match="frozen"):
        key.flask = "B1"


@pytest.mark.parametrize("content", [b"", b"one byte more", bytes(range(256)) * 5000])
def test_frame_id_is_the_sha256_of_the_content(content: bytes, tmp_path: Path):
    first, second = tmp_path / "a.tif", tmp_path / "b.png"
    first.write_bytes(content)
    second.write_bytes(content)

    assert frame_id_of(first) == frame_id_of(second) == hashlib.sha256(content).hexdigest()


def test_one_bit_makes_another_frame(tmp_path: Path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"\x00" * 100)
    before = frame_id_of(path)
    path.write_bytes(b"\x00" * 99 + b"\x01")

    assert frame_id_of(path) != before
