"""The written contract and the code are one."""

from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from contract import wire
from contract.asyncapi import document
from contract.topics import Address, Channel
from tests.contract.samples import MESSAGES, RECORDS

WRITTEN = yaml.safe_load((Path(__file__).parents[2] / "docs" / "asyncapi.yaml").read_text())


def plain(payload: bytes) -> Any:
    return msgspec.msgpack.decode(wire._unpack(payload))


def validate(value: Any, name: str) -> None:
    jsonschema.validate(value, {"$ref": f"#/components/schemas/{name}", "components": WRITTEN["components"]})


def test_document_is_the_one_the_code_gives() -> None:
    assert document() == WRITTEN, "docs/asyncapi.yaml is out of date: run 'make docs'"


@pytest.mark.parametrize("name", MESSAGES)
def test_message_on_the_wire_fits_its_schema(name: str) -> None:
    message = MESSAGES[name]
    validate(plain(wire.encode(message)), type(message).__name__)


@pytest.mark.parametrize("name", RECORDS)
def test_record_fits_its_schema(name: str) -> None:
    validate(plain(wire.encode_record(RECORDS[name])), "AnyRecord")


def test_schema_refuses_what_the_code_refuses() -> None:
    reading = plain(wire.encode_record(RECORDS["reading"]))
    with pytest.raises(jsonschema.ValidationError):
        validate(reading | {"source": "Boiler Room"}, "AnyRecord")


@pytest.mark.parametrize("channel", list(Channel))
def test_channel_addresses_are_the_topics(channel: Channel) -> None:
    address = WRITTEN["channels"][str(channel)]["address"]
    assert address.format(partition=3, site="a", node="b") == Address(3, "a", "b").topic(channel)
