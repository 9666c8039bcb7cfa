"""Connections to the database."""

from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_DEFAULTS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A peer that is gone without a word is noticed within ten seconds (libpq, "Parameter Key Words")."""


class StoreError(RuntimeError):
    """The database cannot be used; the text names it without its password, and the way out."""


def connect(conninfo: str, name: str, *, autocommit: bool = True, options: str = "") -> psycopg.Connection:
    """A connection; ``name`` is shown in ``pg_stat_activity``, ``options`` are the session's (``-c name=value``).

    Raises:
        StoreError: the server cannot be reached, or refuses us.
    """
    try:
        given = conninfo_to_dict(conninfo)
        whole = " ".join(part for part in (str(given.get("options") or ""), options) if part)
        wanted = {**_DEFAULTS, **given, "application_name": name, **({"options": whole} if whole else {})}
        return psycopg.connect(make_conninfo("", **wanted), autocommit=autocommit)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise StoreError(
            f"database {describe(conninfo)}: {reason}; start it, or name another with --database"
        ) from None
    except psycopg.ProgrammingError:
        raise StoreError("database: what --database says is neither 'host=… dbname=…' nor postgresql://…") from None


def describe(conninfo: str) -> str:
    """Which database this is, without user or password."""
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        return "(unreadable)"
    return f"{given.get('dbname') or ''}@{given.get('host') or 'localhost'}:{given.get('port') or 5432}"
