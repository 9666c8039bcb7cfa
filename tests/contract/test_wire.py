"""What was once on the wire decodes for ever, and nothing on the wire can hurt the receiver."""

import json
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from contract import wire
from contract.messages import Batch, Hello
from contract.records import Health, Lane, Quality, Reading, Record, lane_of
from tests.contract.samples import MESSAGES, NOON, RECORDS

GOLDEN = json.loads((Path(__file__).parent / "golden" / "schema-1.json").read_text())
EARLIER = json.loads((Path(__file__).parent / "golden" / "schema-1-before-clocks.json").read_text())
DECODERS = {
    "hello": wire.decode_up,
    "batch": wire.decode_up,
    "welcome": wire.decode_down,
    "ack": wire.decode_down,
    "reply": wire.decode_reply,
    "state": wire.decode_state,
    "command-check-updates": wire.decode_command,
    "command-ping": wire.decode_command,
}


@pytest.mark.parametrize("name", RECORDS)
def test_golden_record_decodes(name: str) -> None:
    assert wire.decode_record(bytes.fromhex(GOLDEN["records"][name])) == RECORDS[name]


@pytest.mark.parametrize("name", MESSAGES)
def test_golden_message_decodes(name: str) -> None:
    assert DECODERS[name](bytes.fromhex(GOLDEN["messages"][name])) == MESSAGES[name]


def test_golden_bytes_of_nodes_that_knew_nothing_of_their_clocks_decode() -> None:
    health = wire.decode_record(bytes.fromhex(EARLIER["records"]["health"]))
    assert isinstance(health, Health)
    assert (health.uptime_s, health.clock_ahead_s, health.readings_thinned) == (86_400.0, None, 0)
    batch = wire.decode_up(bytes.fromhex(EARLIER["messages"]["batch"]))
    assert isinstance(batch, Batch)
    assert (batch.last, batch.ahead) == (1005, None)
    assert wire.decode_records(batch.records)[1] == []


@pytest.mark.parametrize("name", RECORDS)
def test_encoding_is_the_golden_one(name: str) -> None:
    assert wire.encode_record(RECORDS[name]).hex() == GOLDEN["records"][name]


def test_field_of_a_later_release_is_skipped() -> None:
    raw = msgspec.msgpack.decode(wire.encode_record(RECORDS["reading"]))
    raw["altitude_m"] = 12.0
    assert wire.decode_record(msgspec.msgpack.encode(raw)) == RECORDS["reading"]


def test_events_and_their_evidence_travel_as_alarms() -> None:
    lanes = {name: lane_of(record) for name, record in RECORDS.items()}
    assert lanes == {
        "reading": Lane.LIVE,
        "summary": Lane.LIVE,
        "health": Lane.LIVE,
        "heartbeat": Lane.LIVE,
        "event": Lane.ALARM,
        "evidence": Lane.ALARM,
    }


def test_one_bad_record_does_not_stop_the_rest() -> None:
    good = wire.encode_record(RECORDS["reading"])
    nul = wire.encode_record(msgspec.structs.replace(RECORDS["reading"], unit="a\0b"))
    nan = wire.encode_record(msgspec.structs.replace(RECORDS["reading"], value=float("nan")))
    odd = msgspec.msgpack.encode({"type": "reading", "time": -1, "source": "boiler", "quantity": "co", "value": 1.0})
    new = msgspec.msgpack.encode({"type": "hologram"})
    records, bad = wire.decode_records([msgspec.Raw(raw) for raw in (good, nul, nan, odd, new, good)])
    assert [index for index, _ in records] == [0, 5]
    assert [
        (item.index, reason in item.reason)
        for item, reason in zip(bad, ("NUL", "finite", "time", "hologram"), strict=True)
    ] == [(1, True), (2, True), (3, True), (4, True)]


@pytest.mark.parametrize("declared", [True, False])
def test_bomb_is_not_unpacked(declared: bool) -> None:
    zeros = bytes(1 << 20)
    packer = zstandard.ZstdCompressor(write_content_size=declared)
    if declared:
        bomb = packer.compress(zeros * 1024)
    else:
        stream = packer.compressobj()
        bomb = b"".join(stream.compress(zeros) for _ in range(1024)) + stream.flush()
    assert len(bomb) < wire.MAX_WIRE
    with pytest.raises(wire.WireError, match="unpacks to more than 1048576 bytes"):
        wire.decode_up(bomb)


def test_cut_frame_is_refused() -> None:
    packed = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(MESSAGES["batch"]))
    with pytest.raises(wire.WireError):
        wire.decode_up(packed[:-6])


def test_numbers_must_fit_the_records() -> None:
    batch = msgspec.structs.replace(MESSAGES["batch"], last=9999)
    with pytest.raises(wire.WireError, match="carries 6 records"):
        wire.decode_up(wire.encode(batch))


def test_later_schema_is_refused_by_name() -> None:
    with pytest.raises(wire.WireError, match="schema 2; this release knows up to 1"):
        wire.decode_up(wire.encode(msgspec.structs.replace(MESSAGES["hello"], schema=2)))


def test_batch_too_large_is_refused_when_sent() -> None:
    raw = msgspec.Raw(wire.encode_record(RECORDS["reading"]))
    batch = Batch(epoch=1, lane=Lane.LIVE, first=1, last=20_000, sent=NOON, records=(raw,) * 20_000)
    with pytest.raises(wire.WireError, match="send fewer records"):
        wire.encode(batch)


@given(st.binary(max_size=400))
def test_noise_is_refused_and_never_crashes(noise: bytes) -> None:
    for payload in (noise, zstandard.ZstdCompressor().compress(noise), b"\x28\xb5\x2f\xfd" + noise):
        try:
            message = wire.decode_up(payload)
        except wire.WireError:
            continue
        assert isinstance(message, Hello | Batch)


readings = st.builds(
    Reading,
    time=st.integers(0, 4_102_444_799_999_999),
    source=st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True),
    quantity=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    value=st.floats(allow_nan=False, allow_infinity=False),
    unit=st.just("[ppm]"),
    quality=st.sampled_from(Quality),
)


@given(st.lists(readings, max_size=30))
def test_every_batch_comes_back_as_it_was(records: list[Record]) -> None:
    raws = tuple(msgspec.Raw(wire.encode_record(record)) for record in records)
    batch = Batch(epoch=7, lane=Lane.LIVE, first=1, last=len(raws), sent=NOON, records=raws)
    again = wire.decode_up(wire.encode(batch))
    assert isinstance(again, Batch)
    good, bad = wire.decode_records(again.records)
    assert [record for _, record in good] == records
    assert not bad
