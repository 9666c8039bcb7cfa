"""The end of evidence files: those that no record speaks of any more, or never did."""

from typing import Any, Final

import psycopg

from cloud.evidence.store import EvidenceStore

_AT_ONCE: Final = 200


def end_files(connection: psycopg.Connection[Any], store: EvidenceStore, days: int) -> int:
    """Remove the files that came ``days`` ago or earlier, by the database's clock, and that no record names.
    Returns how many. A file whose record has not come yet is younger than that, or nobody waits for it.

    The file goes first and its row is committed after: who is cut off in between does it again.
    """
    removed = 0
    while True:
        with connection.transaction():
            gone = connection.execute(_END, [days, _AT_ONCE]).fetchall()
            for (sha256,) in gone:
                store.forget(sha256)
        removed += len(gone)
        if len(gone) < _AT_ONCE:
            return removed


_END: Final = """
DELETE FROM evidence_file WHERE sha256 IN (
    SELECT sha256 FROM evidence_file f
    WHERE arrived < now() - make_interval(days => %s)
        AND NOT EXISTS (SELECT 1 FROM evidence e WHERE e.sha256 = f.sha256)
    LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING sha256"""
