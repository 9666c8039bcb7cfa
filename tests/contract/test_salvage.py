"""A batch that cannot be read must not hold up what comes after it."""

import msgspec
import pytest

from contract.messages import Batch, Hello
from contract.records import Lane, Reading
from contract.wire import WireError, decode_up, encode, encode_record, salvage

GOOD = encode_record(Reading(time=1, source="gas", quantity="co", value=1.0))


def _batch(*records: bytes, **changes: int) -> Batch:
    raws = tuple(map(msgspec.Raw, records))
    return msgspec.structs.replace(
        Batch(epoch=7, lane=Lane.ALARM, first=5, last=4 + len(raws), sent=1, records=raws), **changes
    )


@pytest.mark.parametrize("copies", [1, 400])
def test_the_envelope_outlives_its_records(copies: int) -> None:
    payload = encode(_batch(*[GOOD] * copies, b"\xc1"))
    with pytest.raises(WireError):
        decode_up(payload)
    found = salvage(payload)
    assert found is not None
    assert (found.epoch, found.lane, found.first, found.last) == (7, Lane.ALARM, 5, 5 + copies)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\xa7records",
        encode(Hello(epoch=1, last={}, time=1)),
        encode(_batch(b"\xc1", schema=99)),
        b"\x28\xb5\x2f\xfd broken",
    ],
)
def test_nothing_is_made_up(payload: bytes) -> None:
    assert salvage(payload) is None
