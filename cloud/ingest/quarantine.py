"""What could not be taken in: looked at, and taken in after all once the reason is gone.

A retry writes rows, as history, and nothing else: what lay here for days raises no live alarm, as what a node sends
after an outage raises none. The raw batch is in the journal since it came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

import msgspec
import psycopg

from cloud.ingest.clocks import behind
from cloud.ingest.records import only, sift
from cloud.ingest.rows import Rows
from cloud.ingest.transaction import SeriesIds, write_rows
from cloud.store import feed
from cloud.store.codes import LANES
from cloud.store.times import micros
from cloud.warnings import past
from contract.messages import Batch
from contract.records import Lane
from contract.wire import Bad, WireError, decode_up, encode

LONGEST: Final = 1000


class QuarantineError(RuntimeError):
    """There is no such thing in the quarantine, or it cannot be taken in; the text says why."""


@dataclass(frozen=True)
class Kept:
    """Something that was set apart. ``number`` is that of the record in its lane, None where a whole message lies here;
    ``site`` and ``node`` are None where nobody knows whose it is."""

    id: int
    arrived: datetime
    topic: str
    site: str | None
    node: str | None
    lane: Lane | None
    number: int | None
    reason: str
    body: bytes

    def batch(self) -> Batch:
        """Its records, as the batch that they came in. Raises ``WireError`` where they are none."""
        try:
            message = decode_up(self.body)
        except WireError:
            if self.number is None:
                raise
            raw, number = msgspec.Raw(self.body), self.number
            return Batch(epoch=0, lane=self.lane or Lane.LIVE, first=number, last=number, sent=0, records=(raw,))
        if not isinstance(message, Batch):
            raise WireError("it is no batch of records")
        return message


@dataclass(frozen=True)
class Retried:
    """What came of a retry: records that are rows now, and those that still make no sense."""

    taken: int
    bad: tuple[Bad, ...]


def kept(connection: psycopg.Connection[Any], limit: int = 100, site: str = "", node: str = "") -> list[Kept]:
    """What lies there, the newest first; of one node where it is named."""
    where: LiteralString = "WHERE (%(site)s = '' OR site = %(site)s) AND (%(node)s = '' OR node = %(node)s)"
    rows = connection.execute(
        f"{_KEPT} {where} ORDER BY id DESC LIMIT %(limit)s",
        {"site": site, "node": node, "limit": min(limit, LONGEST)},
    )
    return [_kept(row) for row in rows]


def find(connection: psycopg.Connection[Any], number: int) -> Kept:
    """One of them. Raises ``QuarantineError``."""
    row = connection.execute(f"{_KEPT} WHERE id = %s FOR UPDATE", [number]).fetchone()
    if row is None:
        raise QuarantineError(f"quarantine has no {number}; 'vedette quarantine list' shows what there is")
    return _kept(row)


def retry(connection: psycopg.Connection[Any], number: int) -> Retried:
    """Take in what makes sense now; what does not stays. All of it in one transaction, so that nothing comes twice.

    Raises:
        QuarantineError: there is no such thing, nobody knows whose it is, or none of it makes sense.
    """
    with connection.transaction():
        one = find(connection, number)
        if one.site is None or one.node is None or not _enrolled(connection, one.site, one.node):
            who = f"node {one.site}/{one.node}" if one.node else f"topic {one.topic}"
            raise QuarantineError(f"quarantine {number}: {who} is not enrolled; enrol it first ('vedette fleet enrol')")
        try:
            batch = one.batch()
        except WireError as error:
            raise QuarantineError(f"quarantine {number}: still makes no sense: {error}") from error
        late = behind(batch, micros(one.arrived))
        good, bad = sift(batch, late)
        if not good:
            raise QuarantineError(f"quarantine {number}: still makes no sense: {bad[0].reason if bad else 'empty'}")
        rows = Rows()
        for record in good:
            rows.add(one.site, one.node, Lane.BACKLOG, micros(one.arrived), record, late != 0)
        series = SeriesIds()
        write_rows(connection, rows, series.find(connection, rows.series()))
        for events in rows.ended.values():
            past.remember(connection, one.site, one.node, events, micros(one.arrived))
        feed.write(connection, [("event", key, {}) for key in sorted(rows.changed_events)])
        _keep_bad(connection, one, batch, bad)
    return Retried(len(good), tuple(bad))


def _keep_bad(connection: psycopg.Connection[Any], one: Kept, batch: Batch, bad: Sequence[Bad]) -> None:
    if not bad:
        connection.execute("DELETE FROM quarantine WHERE id = %s", [one.id])
        return
    connection.execute(
        "UPDATE quarantine SET body = %s, reason = %s, number = %s WHERE id = %s",
        [encode(only(batch, bad)), bad[0].reason, batch.first + bad[0].index, one.id],
    )


def _enrolled(connection: psycopg.Connection[Any], site: str, node: str) -> bool:
    found = connection.execute("SELECT 1 FROM node WHERE site = %s AND node = %s", [site, node]).fetchone()
    return found is not None


def _kept(row: Sequence[Any]) -> Kept:
    number, arrived, topic, site, node, lane, place, reason, body = row
    return Kept(number, arrived, topic, site, node, None if lane is None else LANES[lane], place, reason, bytes(body))


_KEPT: Final[LiteralString] = "SELECT id, arrived, topic, site, node, lane, number, reason, body FROM quarantine"
