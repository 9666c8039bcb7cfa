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
    "target_session_attrs": "read-write",
}
"""A peer that is gone without a word is noticed within ten seconds; of several hosts the one that takes writes is meant
(libpq, "Parameter Key Words")."""


class StoreError(RuntimeError):
    """The database cannot be used; the text names it without its password, and the way out."""


class PoolerError(StoreError):
    """Between us and the database stands a transaction pooler; session locks would mean nothing."""


def complete(conninfo: str, name: str, options: str = "") -> str:
    """How to connect, with what the caller's words leave out.

    Args:
        name: shown in ``pg_stat_activity``.
        options: the session's (``-c name=value``), behind those that ``conninfo`` has.

    Raises:
        StoreError: libpq does not understand it.
    """
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise StoreError("database: what --database says is neither 'host=… dbname=…' nor postgresql://…") from None
    whole = " ".join(part for part in (str(given.get("options") or ""), options) if part)
    wanted: dict[str, Any] = {**_DEFAULTS, **given, "application_name": name, **({"options": whole} if whole else {})}
    return make_conninfo("", **wanted)


def connect(conninfo: str, name: str, *, autocommit: bool = True, options: str = "") -> psycopg.Connection:
    """A connection; see ``complete``. Where several hosts are named it is the first of them that takes writes.

    Raises:
        StoreError: the server cannot be reached, or refuses us.
    """
    try:
        return psycopg.connect(complete(conninfo, name, options), autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise StoreError(
            f"database {describe(conninfo)}: {_reason(error)}; start it, or name another with --database"
        ) from None


def describe(conninfo: str) -> str:
    """Which database this is, without user or password: ``name@host:port``, or all hosts where there are several."""
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        return "(unreadable)"
    hosts = str(given.get("host") or given.get("hostaddr") or "localhost").split(",")
    ports = str(given.get("port") or 5432).split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places = ",".join(f"{host or 'localhost'}:{port or 5432}" for host, port in zip(hosts, ports, strict=False))
    return f"{given.get('dbname') or ''}@{places}"


def _reason(error: psycopg.OperationalError) -> str:
    """The reasons alone, out of libpq's several lines for each host."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    found = [line.rpartition("failed: ")[2] for line in lines if "failed: " in line]
    return "; ".join(dict.fromkeys(found or lines[-1:]))


def prove_direct(connection: psycopg.Connection[Any], conninfo: str) -> None:
    """Prove that statements of one connection stay in one session.

    A transaction pooler lends a server session for a transaction only: while another client is inside a transaction, in
    the session that ours was just given, ours gets another one.

    Raises:
        PoolerError: they do not.
        StoreError: a second connection cannot be made.
    """
    before = _session(connection)
    with connect(_same_server(connection, conninfo), "vedette-probe", autocommit=False) as other:
        _session(other)
        if _session(connection) != before:
            raise PoolerError(
                f"database {describe(conninfo)} is reached through a transaction pooler; name the database itself "
                "with --database (workers hold session locks)"
            )


def _same_server(connection: psycopg.Connection[Any], conninfo: str) -> str:
    """``conninfo``, with the host and port alone that ``connection`` has found."""
    given = conninfo_to_dict(conninfo)
    given.pop("hostaddr", None)
    return make_conninfo("", **{**given, "host": connection.info.host, "port": connection.info.port})


def _session(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])
