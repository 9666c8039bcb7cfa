"""The database server survives what happens to it, and says clearly why it cannot start."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from cloud.servers import server as servers
from cloud.servers.postgres import EmbeddedPostgres, _working_in
from cloud.servers.server import ServerError, running
from cloud.servers.unprivileged import EXIT_REFUSED


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedPostgres:
    """A data folder whose server is not running."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("made") / "data")
    server.prepare()
    return server


def test_what_was_committed_outlives_a_kill(made: EmbeddedPostgres, tmp_path: Path) -> None:
    made.prepare()
    child = servers.start(made, log=tmp_path / "log")
    servers.wait_ready(made, child, log=tmp_path / "log")
    with psycopg.connect(made.conninfo) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS a")
    child.send_signal(signal.SIGKILL)
    child.wait()
    # Its other processes may still be ending now; the lock file lies there in any case.
    assert (made.folder / "postmaster.pid").exists()
    with running(made, log=tmp_path / "log"), psycopg.connect(made.conninfo) as connection:
        assert connection.execute("SELECT a FROM kept").fetchone() == (1,)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_a_lock_file_that_names_a_stranger_is_stale(made: EmbeddedPostgres, tmp_path: Path) -> None:
    (made.folder / "postmaster.pid").write_text(f"{os.getpid()}\n{made.folder}\n")
    with running(made, log=tmp_path / "log") as child:
        assert child.pid != os.getpid()


def test_a_second_server_in_the_same_folder_is_refused(made: EmbeddedPostgres, tmp_path: Path) -> None:
    with running(made, log=tmp_path / "log"), pytest.raises(ServerError, match=r"a server already runs in .*stop it"):
        EmbeddedPostgres(made.folder).prepare()


def test_it_ends_when_its_parent_is_killed(made: EmbeddedPostgres, tmp_path: Path) -> None:
    program = (
        "import sys, threading; from pathlib import Path; from cloud.servers.server import running\n"
        "from cloud.servers.postgres import EmbeddedPostgres\n"
        "with running(EmbeddedPostgres(Path(sys.argv[1])), log=Path(sys.argv[2])):\n"
        "    print('up', flush=True); threading.Event().wait()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(made.folder), str(tmp_path / "log")], stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.kill()
    made.prepare()  # waits for the last of them
    assert _working_in(made.folder) == []


def test_nobody_else_can_reach_it(made: EmbeddedPostgres, tmp_path: Path) -> None:
    with running(made, log=tmp_path / "log"), psycopg.connect(made.conninfo) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        folder = Path(connection.info.host)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700


def test_the_socket_of_a_deep_folder_lies_elsewhere(tmp_path: Path) -> None:
    deep = EmbeddedPostgres(tmp_path / ("deep" * 30))
    assert "deepdeep" not in deep.conninfo
    with pytest.raises(ServerError, match=r"longer than 107 bytes; choose a shorter run folder"):
        EmbeddedPostgres(tmp_path, run=tmp_path / ("deep" * 30))


def test_data_of_another_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("16\n")
    with pytest.raises(ServerError, match=r"data of PostgreSQL 16, this release brings 18; dump it"):
        EmbeddedPostgres(tmp_path).prepare()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(ServerError, match=r"neither empty nor a database; name another folder"):
        EmbeddedPostgres(tmp_path).prepare()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerError, match=r"file/sub.* cannot be used: Not a directory; .*name another"):
        EmbeddedPostgres(tmp_path / "file" / "sub" / "data").prepare()


def test_a_folder_that_somebody_else_prepared_for_us_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ServerError, match=r"run is not this user's own; remove it or name another"):
        EmbeddedPostgres(tmp_path / "data", run=tmp_path / "run").prepare()


def test_an_interrupted_making_is_begun_again(tmp_path: Path) -> None:
    half = tmp_path / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(tmp_path / "data")
    server.prepare()
    with running(server, log=tmp_path / "log"):
        assert not half.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a user namespace")
def test_root_without_user_namespaces_is_told_the_way_out() -> None:
    program = (
        "import cloud.servers.unprivileged as shim, sys\n"
        "def refuse(_): raise PermissionError(1, 'Operation not permitted')\n"
        "shim.become_unprivileged = refuse\n"
        "sys.exit(shim.main(['/bin/postgres']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_REFUSED
    assert "run Vedette as an ordinary user, or name a running PostgreSQL with --database" in done.stderr
