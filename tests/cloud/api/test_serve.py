"""Starting and stopping the API: what is wrong is named with the way out."""

import socket
import threading
from pathlib import Path

import pytest

from cloud.api.serve import ListenError, run
from cloud.settings import CloudSettings
from cloud.store.connection import StoreError
from cloud.store.schema import UnknownVersionError
from tests.cloud.api.conftest import serving


def test_a_taken_port_is_named(settings: CloudSettings) -> None:
    host, port = settings.listen.split(":")
    with socket.create_server((host, int(port))), pytest.raises(ListenError, match=f"{settings.listen}.*--listen"):
        run(settings, threading.Event())


@pytest.mark.parametrize("listen", ["8080", "127.0.0.1:http", "127.0.0.1:99999", "192.0.2.1:8080"])
def test_an_impossible_address_is_named(settings: CloudSettings, listen: str) -> None:
    with pytest.raises(ListenError, match=listen):
        run(settings.model_copy(update={"listen": listen}), threading.Event())


def test_a_database_without_tables_is_named(settings: CloudSettings, empty_database: str) -> None:
    with pytest.raises(UnknownVersionError, match="migrate"):
        run(settings.model_copy(update={"database": empty_database}), threading.Event())


def test_a_database_that_is_not_there_is_named_without_its_password(settings: CloudSettings) -> None:
    nowhere = settings.model_copy(update={"database": "host=127.0.0.1 port=1 dbname=x user=u password=hunter2"})
    with pytest.raises(StoreError, match="start it") as caught:
        run(nowhere, threading.Event())
    assert "hunter2" not in str(caught.value)


def test_the_built_page_is_served_and_its_assets_are_kept(settings: CloudSettings, tmp_path: Path) -> None:
    (tmp_path / "console" / "assets").mkdir(parents=True)
    (tmp_path / "console" / "index.html").write_text("<h1>the page</h1>")
    (tmp_path / "console" / "assets" / "page-abc.js").write_text("1")
    with serving(settings) as api:
        page = api.http.get("/")
        assert page.text == "<h1>the page</h1>"
        assert page.headers["cache-control"] == "no-cache"
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert "immutable" in api.http.get("/assets/page-abc.js").headers["cache-control"]
        assert api.http.get("/assets/none.js").status_code == 404
        assert api.http.get("/../../etc/passwd").status_code == 404
