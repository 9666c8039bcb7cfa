"""Times: microseconds in the contract, ``timestamptz`` in PostgreSQL, ISO 8601 for people; exact in all three."""

from datetime import UTC, datetime, timedelta
from typing import Final

from contract.ids import Micros

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
POSTGRES_EPOCH: Final = 946_684_800_000_000
"""2000-01-01 UTC, from which PostgreSQL counts in its binary format, in microseconds since 1970."""
DAY: Final = 86_400_000_000


def moment(time: Micros) -> datetime:
    """Microseconds since 1970 UTC as a datetime with its zone."""
    return EPOCH + timedelta(microseconds=time)


def micros(time: datetime) -> Micros:
    """The way back from ``moment``."""
    return (time - EPOCH) // timedelta(microseconds=1)


def iso(time: Micros | datetime) -> str:
    """``2026-11-24T11:48:46.123456Z``."""
    at = moment(time) if isinstance(time, int) else time.astimezone(UTC)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
