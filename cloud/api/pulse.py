"""The outside heartbeat: a URL that is asked once a minute while the whole works, and left alone when it does not.

Whoever watches the URL (a dead man's switch, such as healthchecks.io or your own) raises the alarm when
it falls silent: no process here can tell of the death of the machine it runs on. Part of the API process, so that the
database, a worker, the rules behind it and the API itself must all be alive.
"""

import asyncio
import urllib.request
from typing import Any, Final

import psycopg
import structlog

from cloud.api.context import Context

log = structlog.get_logger(__name__)

EVERY_S: Final = 60.0
TIMEOUT_S: Final = 10.0
STALE_S: Final = 20.0
"""A worker writes a tick a second into every partition that has a node."""
BEHIND_S: Final = 180.0
"""The rules note how far they are with each snapshot, once a minute."""


async def keep_pulse(context: Context) -> None:
    """Ask the URL of the settings at the start and once a minute, until cancelled; nothing where there is none."""
    url = context.settings.heartbeat_url
    while url:
        await asyncio.to_thread(beat, context, url)
        await asyncio.sleep(EVERY_S)


def beat(context: Context, url: str) -> bool:
    """Ask the URL if all is well; False, with the reason in the log, where it was not asked or gave no answer."""
    try:
        with context.pool.connection() as connection:
            wrong = faults(connection)
    except psycopg.Error as error:
        wrong = [f"database: {str(error).strip()}"]
    if wrong:
        log.error("heartbeat withheld", reason="; ".join(wrong))
        return False
    try:
        # The settings let nothing but http and https through.
        with urllib.request.urlopen(url, timeout=TIMEOUT_S):  # noqa: S310
            return True
    except (OSError, ValueError) as error:
        log.warning("heartbeat not heard", reason=str(error))
        return False


def faults(connection: psycopg.Connection[Any]) -> list[str]:
    """What stands still; nothing where all is well."""
    row = connection.execute(_STANDING, {"stale": STALE_S, "behind": BEHIND_S}).fetchone()
    assert row is not None
    stale, behind, unheard = row
    wrong = []
    if stale:
        wrong.append(f"no worker has written to {stale} partitions with nodes for {STALE_S:.0f} s")
    if behind:
        wrong.append(f"the rules of {behind} partitions are {BEHIND_S:.0f} s behind")
    if unheard:
        wrong.append(f"no heartbeat of {unheard} connected nodes has come the whole way for {BEHIND_S:.0f} s")
    return wrong


_STANDING: Final = """
SELECT
    (SELECT count(*) FROM (SELECT DISTINCT partition FROM node) AS n WHERE NOT EXISTS (
        SELECT 1 FROM journal_head h JOIN journal j USING (partition, seq)
        WHERE h.partition = n.partition AND j.arrived > now() - make_interval(secs => %(stale)s))),
    (SELECT count(*) FROM rule_state r WHERE EXISTS (
        SELECT 1 FROM journal j WHERE j.partition = r.partition AND j.seq > r.seq
        AND j.arrived < now() - make_interval(secs => %(behind)s))),
    (SELECT CASE WHEN max(heartbeat) < now() - make_interval(secs => %(behind)s) THEN count(*) ELSE 0 END
        FROM node WHERE (state ->> 'online')::boolean AND heartbeat IS NOT NULL)
"""
