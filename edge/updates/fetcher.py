"""How metadata and releases are fetched: HTTPS with the node's credentials, nothing endless, nothing crawling."""

import ssl
import time
from collections.abc import Callable, Iterator
from typing import Final

import httpx
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

from edge.config import NodeConfig

TIMEOUT_S: Final = 10.0
"""For a connection, and between two pieces of an answer."""
_GRACE_S: Final = 30.0
_SLOWEST: Final = 1024.0
"""Bytes a second; an answer that is slower than this on the whole, after a while of grace, is given up."""
_CHUNK: Final = 64 * 1024


class UnreachableError(DownloadError):
    """The cloud does not answer: no fault of what it offers."""


class Fetcher(FetcherInterface):
    """Fetches for python-tuf, which itself holds every answer to the length that signed metadata allow it.

    Args:
        config: the node's name and secret are its credentials.
        timeout_s: for a connection, and between two pieces of an answer.
        monotonic: seconds.
    """

    def __init__(
        self, config: NodeConfig, timeout_s: float = TIMEOUT_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        uplink = config.uplink
        verify = ssl.create_default_context(cafile=str(uplink.ca_file) if uplink.ca_file is not None else None)
        secret = uplink.secret()
        self._http = httpx.Client(
            auth=(f"{config.site}/{config.node}", secret) if secret else None,
            timeout=timeout_s,
            verify=verify,
            follow_redirects=False,
            headers={"Accept-Encoding": "identity"},
        )
        self._monotonic = monotonic

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _fetch(self, url: str) -> Iterator[bytes]:
        request = self._http.build_request("GET", url)
        try:
            response = self._http.send(request, stream=True)
        except httpx.TimeoutException as error:
            raise UnreachableError(f"{url} does not answer in time") from error
        except httpx.TransportError as error:
            raise UnreachableError(f"{url} cannot be reached: {error}") from error
        if response.status_code != 200:
            response.close()
            raise _refusal(url, response.status_code)
        return self._pieces(url, response)

    def _pieces(self, url: str, response: httpx.Response) -> Iterator[bytes]:
        began, received = self._monotonic(), 0
        try:
            for piece in response.iter_raw(_CHUNK):
                received += len(piece)
                yield piece
                elapsed = self._monotonic() - began
                if elapsed > _GRACE_S and received < _SLOWEST * elapsed:
                    raise SlowRetrievalError(f"{url} came at {received / elapsed:.0f} bytes a second; given up")
        except httpx.TimeoutException as error:
            raise SlowRetrievalError(f"{url} stopped in the middle") from error
        except httpx.TransportError as error:
            raise UnreachableError(f"{url} broke off: {error}") from error
        finally:
            response.close()


def _refusal(url: str, status: int) -> DownloadError:
    if status in (401, 403):
        # python-tuf takes 403 for "there is no newer root"; a wrong password must not look like that.
        return UnreachableError(
            f"{url} answered {status}; check uplink's password in node.yaml, or enrol the node again"
        )
    if status == 404:
        return DownloadHTTPError(f"{url} is not there", status)
    return UnreachableError(f"{url} answered {status}")
