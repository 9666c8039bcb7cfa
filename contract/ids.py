"""Names: of sites, nodes and sources, and what they may look like."""

import hashlib
import re
from typing import Annotated, Final

import msgspec

Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}$")]
"""A site, node or source: 1 to 32 characters out of ``a-z``, ``0-9`` and ``-``; safe in a topic, a path and a label."""

Micros = Annotated[int, msgspec.Meta(ge=0, lt=4_102_444_800_000_000)]
"""A time: microseconds since 1970-01-01 UTC, before the year 2100. PostgreSQL's timestamps have the same resolution."""

UNTOLD: Final = 1_000_000
"""A time within the first second of 1970 is no clock's word: who gave it has none to give."""

PARTITIONS = 256
"""Into so many partitions the nodes of one installation are dealt; the number never changes."""

_ID = re.compile(r"[a-z0-9-]{1,32}")


def check_id(value: str, what: str) -> str:
    """Return ``value`` if it is a valid id.

    Raises:
        ValueError: names ``what``, the value and the rule.
    """
    if not _ID.fullmatch(value):
        raise ValueError(f"{what} {value!r} is not a valid id; use 1 to 32 characters out of a-z, 0-9 and '-'")
    return value


def digest(*parts: str) -> str:
    """A short name made of other names: the first 32 hexadecimal digits of SHA-256 over the parts, NUL between them."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
