"""The live feed: what changed, written in the transaction that changed it.

=========  ================  ===========================================================
topic      key               body
=========  ================  ===========================================================
reading    ``site/node``     ``{"series": [id, …]}``: these series have a newer row in ``latest``
event      ``site/node/id``  ``{}``: read the event again
node       ``site/node``     ``{}``: state or health has changed; read the node again
warning    its id            ``{}``: read the warning again
=========  ================  ===========================================================

A transaction that writes feed rows commits first, then somebody publishes on ``WAKE_TOPIC``.
Readers go by ``xid`` and stop at ``pg_snapshot_xmin(pg_current_snapshot())``: a row that commits later may
have a lower id.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import psycopg

WAKE_TOPIC: Final = "vedette/v1/feed"
"""MQTT topic, QoS 0, empty payload: there is something new in the feed."""


def write(connection: psycopg.Connection[Any], rows: Iterable[tuple[str, str, object]]) -> None:
    """Add rows of topic, key and body in the caller's transaction."""
    lines = [(topic, key, msgspec.json.encode(body).decode()) for topic, key, body in rows]
    if lines:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO feed (topic, key, body) SELECT * FROM unnest(%s::text[], %s::text[], %s::jsonb[])",
                [[line[column] for line in lines] for column in range(3)],
            )
