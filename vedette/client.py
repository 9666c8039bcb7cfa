"""Speaks to a running Vedette for the commands of the terminal."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

SERVER_FILE: Final = "server.json"
"""Lies in the data folder of ``vedette up`` and tells where its API answers."""
_TIMEOUT_S: Final = 15.0
_STREAM_TIMEOUT_S: Final = 120.0


class ClientError(RuntimeError):
    """The server cannot be reached or refuses; the text names the address and the way out."""


def find_server(named: str | None, data: Path) -> str:
    """The address of the API: the one named (``--server`` or ``VEDETTE_SERVER``), else that of ``vedette up``.

    Raises:
        ClientError: none is named and none runs here.
    """
    address = named or os.environ.get("VEDETTE_SERVER")
    if address:
        return address.rstrip("/")
    try:
        found = json.loads((data / SERVER_FILE).read_text())
        return str(found["url"])
    except (OSError, ValueError, KeyError):
        raise ClientError(
            f"no Vedette runs on {data}; start one with 'vedette up', or name one with --server http://host:port"
        ) from None


class Client:
    """The API of one server. A context manager: it keeps a connection open."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._http = httpx.Client(base_url=f"{address}/api/v1", timeout=_TIMEOUT_S)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int | None) -> Any:
        """What lies at ``path``, decoded. Raises ``ClientError``."""
        return self._ask("GET", path, params={name: value for name, value in query.items() if value is not None})

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What the server answers to ``body``. Raises ``ClientError``."""
        return self._ask("POST", path, json=body)

    def stream(self, path: str, **query: str | int | None) -> Iterator[bytes]:
        """What lies at ``path``, in pieces, whole when it ends without ``ClientError``."""
        wanted = {name: value for name, value in query.items() if value is not None}
        try:
            with self._http.stream("GET", path, params=wanted, timeout=_STREAM_TIMEOUT_S) as answer:
                if not answer.is_success:
                    answer.read()
                    raise ClientError(f"{self._address}{path}: {_reason(answer)}")
                yield from answer.iter_bytes()
        except httpx.HTTPError as error:
            raise ClientError(f"{self._address} does not answer: {error}; is 'vedette up' running there?") from error

    def _ask(self, method: str, path: str, **how: Any) -> Any:
        try:
            answer = self._http.request(method, path, **how)
        except httpx.HTTPError as error:
            raise ClientError(f"{self._address} does not answer: {error}; is 'vedette up' running there?") from error
        if answer.is_success:
            return answer.json()
        raise ClientError(f"{self._address}{path}: {_reason(answer)}")


def fetch(server: str | None, data: Path, path: str, **query: str | int | None) -> Any:
    """One answer of the server that ``find_server`` finds. Raises ``ClientError``."""
    with Client(find_server(server, data)) as client:
        return client.get(path, **query)


def live(address: str) -> Iterator[dict[str, Any]]:
    """The messages of the live feed, until the connection ends.

    Raises:
        ClientError: no connection.
    """
    from websockets.exceptions import ConnectionClosed, InvalidHandshake
    from websockets.sync.client import connect

    url = address.replace("http", "ws", 1) + "/api/v1/live"
    try:
        with connect(url, max_size=64 * 1024 * 1024, open_timeout=_TIMEOUT_S) as socket:
            for message in socket:
                yield json.loads(message)
    except (OSError, InvalidHandshake) as error:
        raise ClientError(f"{url} does not answer: {error}; is 'vedette up' running there?") from error
    except ConnectionClosed as error:
        raise ClientError(f"{url} closed the connection: {error}") from error


def _reason(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.reason_phrase
    return f"{answer.status_code}: {detail}"
