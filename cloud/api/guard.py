"""Keeps other people's web pages away from the API: the names it answers to, and where writes may come from.

A page elsewhere can make a browser call us. It cannot make the browser say another ``Origin``, and after it has bound
its own name to our address (DNS rebinding) it cannot make it say another ``Host``.
"""

import json
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Guard:
    """ASGI middleware.

    Args:
        app: what is behind it.
        loopback: whether we listen on the loopback only; then only its names are answered to.
    """

    def __init__(self, app: ASGIApp, loopback: bool) -> None:
        self._app = app
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is in order; answer the rest with 421 or 403."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._loopback and _name(host) not in _LOOPBACK:
            await _refuse(
                scope, send, 421, f"this address listens for localhost only, not for {host!r}; use http://localhost"
            )
        elif _writes(scope) and origin is not None and urlsplit(origin).netloc != host:
            await _refuse(scope, send, 403, f"a page of {origin!r} may not do this; use the page that {host!r} serves")
        else:
            await self._app(scope, receive, send)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    return host == "localhost" or host.startswith("127.") or host.strip("[]") == "::1"


def _writes(scope: Scope) -> bool:
    return scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS


def _name(host: str) -> str:
    return host.rsplit(":", 1)[0] if not host.endswith("]") else host


async def _refuse(scope: Scope, send: Send, status: int, detail: str) -> None:
    if scope["type"] == "websocket":
        # Before it was accepted, a close is a 403 to the browser (ASGI, "Close - send event").
        await send({"type": "websocket.close", "code": 1008, "reason": detail[:120]})
        return
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
