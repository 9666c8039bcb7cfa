"""One database on one host or on several, named without its password."""

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from cloud.servers.postgres import EmbeddedPostgres
from cloud.store.connection import StoreError, connect, describe, prove_direct


@pytest.mark.parametrize(
    ("conninfo", "said"),
    [
        ("host=/run/a dbname=b", "b@/run/a:5432"),
        ("host=a,b port=5433,5434 dbname=v user=u password=hush", "v@a:5433,b:5434"),
        ("host=a,b port=5433 dbname=v", "v@a:5433,b:5433"),
        ("postgresql://u:hush@a:5433,b/v?target_session_attrs=read-write", "v@a:5433,b:5432"),
        ("hostaddr=192.0.2.1 dbname=v", "v@192.0.2.1:5432"),
        ("dbname=v", "v@localhost:5432"),
        ("hush", "(unreadable)"),
    ],
)
def test_every_host_is_named(conninfo: str, said: str) -> None:
    assert describe(conninfo) == said


def test_what_was_wrong_with_each_host_is_said_once() -> None:
    with pytest.raises(StoreError) as caught:
        connect("host=127.0.0.1,127.0.0.1 port=1,2 dbname=v password=hush", "test")
    wanted = "database v@127.0.0.1:1,127.0.0.1:2: Connection refused; start it, or name another with --database"
    assert str(caught.value) == wanted


def test_of_several_hosts_a_dead_one_is_passed_over_and_the_proof_goes_to_the_one_that_was_found(
    postgres: EmbeddedPostgres, database: str
) -> None:
    given = conninfo_to_dict(database)
    several = f"host=/nowhere,{given['host']} port=1,5432 user={given['user']} dbname={given['dbname']}"
    with connect(several, "test") as connection:
        assert connection.info.host == given["host"]
        prove_direct(connection, several)


def test_a_host_that_takes_no_writes_is_not_the_database(postgres: EmbeddedPostgres, database: str) -> None:
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(postgres.conninfo, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    with pytest.raises(StoreError, match="session is read-only"):
        connect(database, "test")
