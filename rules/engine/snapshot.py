"""An engine's state as bytes."""

from typing import Any, Final

import msgspec

from rules.engine.episode import Row

FORMAT: Final = 1


class SnapshotError(ValueError):
    """State that cannot be taken over; the journal has to be read from further back."""


class RuleState(msgspec.Struct, frozen=True):
    """One rule: which wording it had, its windows' definitions by name, and every key it remembers."""

    wording: str
    windows: dict[str, str]
    keys: dict[str, tuple[Row, list[Any]]]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An engine at one moment."""

    format: int = FORMAT
    now: int
    listening: int
    revisions: list[Any]
    rules: dict[str, RuleState]


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Snapshot] = msgspec.msgpack.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """MessagePack."""
    return _encoder.encode(snapshot)


def decode_snapshot(raw: bytes) -> Snapshot:
    """Read it back.

    Raises:
        SnapshotError: damaged, or of a newer format.
    """
    try:
        snapshot = _decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"rule state cannot be read: {error}; start from an older one or from none") from error
    if snapshot.format > FORMAT:
        raise SnapshotError(f"rule state has format {snapshot.format}; this release knows up to {FORMAT}: update it")
    return snapshot
