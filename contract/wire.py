"""Bytes on the wire: MessagePack, in a zstd frame (RFC 8878) where that is smaller.

A receiver never unpacks more than ``MAX_UNPACKED`` bytes, whatever a frame's header claims.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
import zstandard

from contract.messages import SCHEMA, Ack, Batch, Command, DownMessage, Hello, NodeState, Reply, UpMessage, Welcome
from contract.records import Reading, Record

MAX_WIRE: Final = 128 * 1024
"""Bytes of one message on the wire."""
MAX_UNPACKED: Final = 1024 * 1024
"""Bytes of one message unpacked."""
_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_WORTH_PACKING: Final = 512
_RECORDS: Final = b"\xa7records"
_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T")


class WireError(ValueError):
    """A message that is not what its topic promises; the text says in which way."""


@dataclass(frozen=True)
class Bad:
    """A record that could not be decoded: its place in the batch, its bytes and the reason."""

    index: int
    raw: bytes
    reason: str


_encoder = msgspec.msgpack.Encoder()
_records = msgspec.msgpack.Decoder(tuple[Record, ...])
_record: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)
_up: msgspec.msgpack.Decoder[UpMessage] = msgspec.msgpack.Decoder(UpMessage)
_down: msgspec.msgpack.Decoder[DownMessage] = msgspec.msgpack.Decoder(DownMessage)
_command = msgspec.msgpack.Decoder(Command)
_reply = msgspec.msgpack.Decoder(Reply)
_state = msgspec.msgpack.Decoder(NodeState)


def encode_record(record: Record) -> bytes:
    """One record as MessagePack, the way it lies in the outbox and in ``Batch.records``."""
    return _encoder.encode(record)


def decode_record(raw: bytes) -> Record:
    """One record back.

    Raises:
        WireError: it is no record of a known type, or a field has a wrong type or value.
    """
    record = _decode(_record, raw, "record")
    _check(record)
    return record


def encode(message: Hello | Batch | Welcome | Ack | Command | Reply | NodeState) -> bytes:
    """A message as bytes, packed where that is smaller.

    Raises:
        WireError: it is larger than ``MAX_UNPACKED``, or than ``MAX_WIRE`` after packing.
    """
    raw = _encoder.encode(message)
    if len(raw) > MAX_UNPACKED:
        raise WireError(f"message of {len(raw)} bytes; at most {MAX_UNPACKED} are allowed: send fewer records")
    if len(raw) >= _WORTH_PACKING:
        packed = zstandard.ZstdCompressor(level=1).compress(raw)
        raw = min(raw, packed, key=len)
    if len(raw) > MAX_WIRE:
        raise WireError(f"message of {len(raw)} bytes packed; at most {MAX_WIRE} are allowed: send fewer records")
    return raw


def decode_up(payload: bytes) -> UpMessage:
    """What a node sent on ``up``.

    Raises:
        WireError: too large, not MessagePack, a higher schema, or a batch whose numbers do not fit its records.
    """
    message = _decode(_up, _unpack(payload), "message on 'up'")
    _check_schema(message.schema)
    if isinstance(message, Batch) and message.last - message.first + 1 != len(message.records):
        raise WireError(f"batch {message.first} to {message.last} carries {len(message.records)} records")
    return message


def unpacked_bytes(payload: bytes) -> int:
    """How large a message is once it is unpacked, as its frame says; ``MAX_UNPACKED`` where that does not say it."""
    if not payload.startswith(_MAGIC):
        return len(payload)
    try:
        stated = zstandard.frame_content_size(payload)
    except zstandard.ZstdError:
        return MAX_UNPACKED
    return stated if 0 <= stated <= MAX_UNPACKED else MAX_UNPACKED


def salvage(payload: bytes) -> Batch | None:
    """The envelope, without its records, of a batch whose records are not even MessagePack; None where that is not what
    is wrong with it, or where it claims more of them than its bytes could hold. It lets a receiver set the batch apart
    and go on. Works where ``records`` stands last, as ``encode`` puts it.
    """
    try:
        raw = _unpack(payload)
        if _is_decodable(raw):
            return None
        end = raw.index(_RECORDS)
        if not 0x81 <= raw[0] <= 0x8F:
            return None
        batch = _decode(_up, raw[:end] + _RECORDS + b"\x90", "envelope")
        _check_schema(batch.schema)
    except (WireError, ValueError):
        return None
    if not isinstance(batch, Batch) or not 0 <= batch.last - batch.first < len(raw) - end:
        return None
    return batch


def _is_decodable(raw: bytes) -> bool:
    try:
        _up.decode(raw)
    except _UNDECODABLE:
        return False
    return True


def decode_down(payload: bytes) -> DownMessage:
    """What the cloud sent on ``ack``. Raises ``WireError`` as ``decode_up`` does."""
    message = _decode(_down, _unpack(payload), "message on 'ack'")
    _check_schema(message.schema)
    return message


def decode_command(payload: bytes) -> Command:
    """What the cloud sent on ``cmd``. Raises ``WireError``."""
    return _decode(_command, _unpack(payload), "command")


def decode_reply(payload: bytes) -> Reply:
    """What a node sent on ``reply``. Raises ``WireError``."""
    return _decode(_reply, _unpack(payload), "reply")


def decode_state(payload: bytes) -> NodeState:
    """What lies retained on ``state``. Raises ``WireError``."""
    return _decode(_state, _unpack(payload), "state")


def decode_records(raws: Sequence[msgspec.Raw]) -> tuple[list[tuple[int, Record]], list[Bad]]:
    """The records of a batch with their places, and the bad ones apart: one bad record never stops the rest.

    Decoded whole first; one by one only when that fails.
    """
    try:
        whole = _records.decode(_encoder.encode(tuple(raws)))
        for record in whole:
            _check(record)
        return list(enumerate(whole)), []
    except (*_UNDECODABLE, WireError):
        pass
    good: list[tuple[int, Record]] = []
    bad: list[Bad] = []
    for index, raw in enumerate(raws):
        try:
            good.append((index, decode_record(bytes(raw))))
        except WireError as error:
            bad.append(Bad(index, bytes(raw), str(error)))
    return good, bad


def _decode(decoder: msgspec.msgpack.Decoder[T], raw: bytes, what: str) -> T:
    try:
        return decoder.decode(raw)
    except _UNDECODABLE as error:
        raise WireError(f"{what} cannot be decoded: {error}") from error


def _unpack(payload: bytes) -> bytes:
    if len(payload) > MAX_WIRE:
        raise WireError(f"message of {len(payload)} bytes; at most {MAX_WIRE} are allowed")
    if not payload.startswith(_MAGIC):
        return payload
    reader = zstandard.ZstdDecompressor(max_window_size=8 * MAX_UNPACKED).stream_reader(payload)
    try:
        raw = reader.read(MAX_UNPACKED + 1)
    except zstandard.ZstdError as error:
        raise WireError(f"message cannot be unpacked: {error}") from error
    if len(raw) > MAX_UNPACKED:
        raise WireError(f"message unpacks to more than {MAX_UNPACKED} bytes")
    return raw


def _check_schema(schema: int) -> None:
    if schema > SCHEMA:
        raise WireError(f"message has schema {schema}; this release knows up to {SCHEMA}: update the receiver first")


def _check(record: Record) -> None:
    """What the types cannot say: numbers are finite, and no text holds a NUL (PostgreSQL has no such text)."""
    if isinstance(record, Reading):
        _check_value("value", record.value)
        if "\0" in record.quantity or "\0" in record.unit:
            raise WireError("reading has a NUL in a text")
        return
    for name in record.__struct_fields__:
        _check_value(name, getattr(record, name))


def _check_value(name: str, value: object) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise WireError(f"{name} is {value}; numbers must be finite")
    elif isinstance(value, str):
        if "\0" in value:
            raise WireError(f"{name} holds a NUL")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_value(name, key)
            _check_value(f"{name}.{key}", item)
    elif isinstance(value, tuple):
        for item in value:
            _check_value(name, item)
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            _check_value(f"{name}.{field}", getattr(value, field))
