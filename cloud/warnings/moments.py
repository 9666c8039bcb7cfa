"""Times: microseconds on the wire, ``timestamptz`` in PostgreSQL, both exact to the microsecond."""

from datetime import UTC, datetime, timedelta
from typing import Final

from contract.ids import Micros

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(time: Micros) -> datetime:
    """Microseconds since 1970 UTC as a datetime with its zone."""
    return EPOCH + timedelta(microseconds=time)


def micros(time: datetime) -> Micros:
    """The way back from ``moment``."""
    return (time - EPOCH) // timedelta(microseconds=1)
