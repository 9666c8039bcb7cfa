"""Root can run the database where user namespaces are refused, as they are in a chroot and in most containers."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has root to give up")

SCRIPT = """
import ctypes, pathlib, psycopg
from cloud.servers.postgres import EmbeddedPostgres
from cloud.servers.server import running

assert ctypes.CDLL(None).unshare(0x10000000) != 0, "user namespaces are allowed here: the test shows nothing"
folder = pathlib.Path({folder!r})
for round in (1, 2):
    with running(EmbeddedPostgres(folder / "data", folder / "run"), log=folder / "log"):
        with psycopg.connect(EmbeddedPostgres(folder / "data", folder / "run").conninfo) as connection:
            print(round, connection.execute("SELECT 40 + 2").fetchone()[0], (folder / "data").stat().st_uid)
"""


def test_database_of_root_in_a_chroot(tmp_path: Path) -> None:
    """In a mount namespace of its own, the whole file system is bound below a folder, and that folder becomes the root.

    The database's folder lies below one that root alone may enter.
    """
    if shutil.which("unshare") is None:
        pytest.skip("no unshare(1): apt-get install util-linux")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    root = tmp_path / "root"
    root.mkdir()
    script = textwrap.dedent(SCRIPT.format(folder=str(closed)))
    bind_and_enter = 'mount --rbind / "$1" && cd "$2" && exec chroot "$1" sh -c \'cd "$1" && exec "$2" -c "$3"\' "$@"'
    repository = Path(__file__).parents[3]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", bind_and_enter, "-", str(root), str(repository), sys.executable, script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.stdout.split("\n")[:2] == ["1 42 65534", "2 42 65534"], done.stderr
