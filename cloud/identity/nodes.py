"""Who a node is: its name and its secret, kept only as a scrypt hash (RFC 7914)."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from threading import Lock
from typing import Final

_COST: Final = 2**14
_BLOCK: Final = 8
_PARALLEL: Final = 1
_REMEMBERED: Final = 4096


class NotAuthenticError(PermissionError):
    """Name or secret is wrong; which of the two is not told."""


def new_secret() -> str:
    """A secret for a node: 256 random bits, safe in a file, a URL and a shell."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str, salt: bytes | None = None) -> str:
    """What to keep of a secret: ``scrypt$N$r$p$salt$hash``, salt and hash in base64."""
    salt = secrets.token_bytes(16) if salt is None else salt
    key = _scrypt(secret, salt, _COST, _BLOCK, _PARALLEL)
    return f"scrypt${_COST}${_BLOCK}${_PARALLEL}${_text(salt)}${_text(key)}"


def verify_secret(secret: str, kept: str) -> bool:
    """Whether ``kept`` was made of ``secret``, compared in constant time; False where ``kept`` is no such hash."""
    try:
        name, cost, block, parallel, salt, key = kept.split("$")
        if name != "scrypt":
            return False
        tried = _scrypt(secret, _bytes(salt), int(cost), int(block), int(parallel))
        return hmac.compare_digest(tried, _bytes(key))
    except (ValueError, binascii.Error):
        return False


class Verifier:
    """Verifies the same secrets again and again: a node uploads its evidence in many requests.

    What was verified is remembered under a key that exists in this object alone, so that a dump of the memory gives no
    secret away, and a wrong secret costs a full scrypt each time. Safe to call from several threads.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._lock = Lock()

    def verify(self, secret: str, kept: str | None) -> bool:
        """As ``verify_secret``; with no ``kept`` (no such node) it takes as long and says no."""
        mark = hmac.digest(self._key, f"{secret}\0{kept}".encode(), "sha256")
        with self._lock:
            if mark in self._known:
                self._known.move_to_end(mark)
                return True
        if not verify_secret(secret, kept or _NOBODY) or kept is None:
            return False
        with self._lock:
            self._known[mark] = None
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return True


def basic_credentials(header: str | None) -> tuple[str, str, str]:
    """Site, node and secret out of an ``Authorization: Basic`` header (RFC 7617) whose user is ``site/node``.

    Raises:
        NotAuthenticError: there is none, or it has another form.
    """
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        raise NotAuthenticError("send HTTP Basic credentials: user 'site/node', the node's secret as password")
    try:
        user, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error) as error:
        raise NotAuthenticError("the Basic credentials are not base64 of 'site/node:secret'") from error
    site, slash, node = user.partition("/")
    if not (colon and slash and site and node):
        raise NotAuthenticError("the user of the Basic credentials is not 'site/node'")
    return site, node, secret


def _scrypt(secret: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=64 * 1024 * 1024, dklen=32)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_NOBODY: Final = hash_secret("", salt=bytes(16))
