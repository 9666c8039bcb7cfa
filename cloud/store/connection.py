"""Connections to the database."""

from typing import Any, Final

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


class PoolerError(StoreError):
    """Between us and the database stands a transaction pooler; session locks would mean nothing."""


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


def prove_direct(connection: psycopg.Connection[Any], conninfo: str) -> None:
    """Prove that statements of one connection stay in one session.

    A transaction pooler lends a server session for a transaction only: while another client is inside a transaction, in
    the session that ours was just given, ours gets another one.

    Raises:
        PoolerError: they do not.
        StoreError: a second connection cannot be made.
    """
    before = _session(connection)
    with connect(conninfo, "vedette-probe", autocommit=False) as other:
        _session(other)
        if _session(connection) != before:
            raise PoolerError(
                f"database {describe(conninfo)} is reached through a transaction pooler; name the database itself "
                "with --database (workers hold session locks)"
            )


def _session(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])
