"""The wire format is a promise to other versions: one golden file per message."""

import json
from pathlib import Path
from typing import get_args

import pytest
from cases.sample_messages import SAMPLES, arrived

from monitor.messages import AnyMessage, Message
from services.transport.codec import UnknownMessage, decode, encode

GOLDEN = Path(__file__).parents[1] / "cases" / "golden"


def kind_of(message: Message) -> str:
    return message.kind


@pytest.mark.parametrize("message", SAMPLES, ids=kind_of)
def test_message_on_the_wire_is_as_in_its_golden_file(message: Message):
    golden = (GOLDEN / f"{message.kind}.json").read_text()

    written = json.dumps(json.loads(encode(message)), indent=2) + "\n"

    assert written.splitlines() == golden.splitlines(), "a changed field needs a new schema_version and golden file"
    assert decode(golden.encode()) == message


def test_every_kind_has_a_golden_file():
    kinds = {kind.model_fields["kind"].default for kind in get_args(get_args(AnyMessage)[0])}

    assert {message.kind for message in SAMPLES} == kinds
    assert {path.stem for path in GOLDEN.glob("*.json")} == kinds


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        encode(arrived()).replace(b'"frame_arrived"', b'"frame_arrived_by_post"'),
        encode(arrived()).replace(b'"schema_version":1', b'"schema_version":2'),
        encode(arrived()).replace(b'"dtype":"uint16"', b'"dtype":"uint16","colour":"red"'),
        encode(arrived()).replace(b'"pixel_size_um":0.65', b'"pixel_size_um":NaN'),
    ],
)
def test_what_is_not_understood_is_told_apart(payload: bytes):
    with pytest.raises(UnknownMessage) as caught:
        decode(payload)

    assert caught.value.reason == "unknown_version"
    assert not caught.value.retryable


@pytest.mark.parametrize("golden", sorted((GOLDEN / "earlier").glob("*.json")), ids=lambda path: path.stem)
def test_facts_of_earlier_versions_are_still_read(golden: Path):
    written = json.loads(golden.read_text())

    read = json.loads(encode(decode(golden.read_bytes())))

    assert golden.stem == f"{written['kind']}_{written['schema_version']}"
    assert {name: read[name] for name in written} == written
