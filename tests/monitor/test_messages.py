"""Payloads are facts: they cannot be changed, carry nothing unknown and no NaN. Golden files: tests/contract."""

import json

import pytest
from cases.sample_messages import ESTIMATED, QUALITY, SAMPLES, arrived
from pydantic import ValidationError

from monitor.messages import ANY_MESSAGE, FrameArrived, FrameQuality, Message


def kind_of(message: Message) -> str:
    return message.kind


@pytest.mark.parametrize("message", SAMPLES, ids=kind_of)
def test_fact_cannot_be_changed(message: Message):
    with pytest.raises(ValidationError, match="frozen"):
        message.schema_version = 1


@pytest.mark.parametrize("message", SAMPLES, ids=kind_of)
def test_unknown_field_is_refused(message: Message):
    with pytest.raises(ValidationError, match="extra"):
        type(message).model_validate(message.model_dump() | {"colour": "red"})


@pytest.mark.parametrize("message", SAMPLES, ids=kind_of)
def test_other_version_is_refused(message: Message):
    with pytest.raises(ValidationError, match="schema_version"):
        type(message).model_validate(message.model_dump() | {"schema_version": message.schema_version + 1})


@pytest.mark.parametrize("message", SAMPLES, ids=kind_of)
def test_json_and_back_through_the_union_is_the_same(message: Message):
    again = ANY_MESSAGE.validate_json(message.model_dump_json())

    assert again == message
    assert type(again) is type(message)
    assert again.model_dump_json() == message.model_dump_json()


def test_kinds_are_distinct():
    assert len({message.kind for message in SAMPLES}) == len(SAMPLES)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("field", ["focus", "illumination", "confluency", "doubt", "saturated_fraction"])
def test_nan_and_infinity_are_refused(field: str, wrong: float):
    with pytest.raises(ValidationError):
        FrameQuality.model_validate(QUALITY.model_dump() | {field: wrong})


def test_nan_in_json_is_refused():
    text = ESTIMATED.model_dump_json().replace('"potency":91.25', '"potency":NaN')

    assert "NaN" in text
    with pytest.raises(ValidationError):
        ANY_MESSAGE.validate_json(text)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("frame_id", "ab"),
        ("frame_id", "G" * 64),
        ("frame_id", "A" * 64),
        ("pixel_size_um", 0.0),
        ("pixel_size_um", -0.65),
        ("dtype", "int16"),
        ("acquired_at", "2026-03-10T12:00:00"),
        ("arrived_at", "2026-03-10T12:00:00"),
        ("shape_px", (512,)),
    ],
)
def test_impossible_value_is_refused(field: str, wrong: object):
    stored = json.loads(arrived().model_dump_json()) | {field: wrong}

    with pytest.raises(ValidationError, match=field):
        FrameArrived.model_validate(stored)


@pytest.mark.parametrize("field", ["confluency", "doubt", "saturated_fraction"])
@pytest.mark.parametrize("wrong", [-0.01, 1.01])
def test_fraction_stays_between_zero_and_one(field: str, wrong: float):
    with pytest.raises(ValidationError, match=field):
        FrameQuality.model_validate(QUALITY.model_dump() | {field: wrong})


def test_blob_lies_in_a_known_store():
    stored = arrived().model_dump()
    stored["pixels"]["store"] = "elsewhere"

    with pytest.raises(ValidationError, match="store"):
        FrameArrived.model_validate(stored)


def test_source_is_the_path_in_the_watched_folder():
    assert arrived().source == arrived().pixels.path
