"""Evidence on its way to the cloud: HTTPS, in pieces, resumed where it was cut (``contract.evidence``)."""

import base64
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import structlog

from contract.evidence import LENGTH_HEADER, OFFSET_HEADER, upload_path
from edge.delivery.uploads import Pending, UploadQueue
from edge.evidence.files import EvidenceFiles

PIECE_BYTES: Final = 256 * 1024
MAX_REFUSALS: Final = 5
"""A file that the cloud will not have is given up after so many tries."""
_WAIT_S: Final = 1.0
_PAUSE_S: Final = (1.0, 60.0)
_PASSING: Final = (401, 403, 404, 408, 409, 425, 429)
"""Answers that say nothing against the file: who we are, that its record is not there yet, or that we are too fast."""

_log = structlog.get_logger()


@dataclass
class _Attempt:
    due: float
    pause: float


class PassingError(Exception):
    """It did not work this time; the text says why."""


class RefusedError(Exception):
    """The cloud does not want this file; the text says why."""


class Uploader:
    """Uploads what waits and deletes each file when the cloud has it.

    Args:
        http: a client whose ``base_url`` is the cloud and whose credentials are the node's.
        queue: what waits.
        files: where the files lie.
        monotonic: seconds.
        chance: spreads the attempts of many nodes.
    """

    def __init__(
        self,
        http: httpx.Client,
        queue: UploadQueue,
        files: EvidenceFiles,
        monotonic: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self.reason = ""
        """What went wrong last; '' when the last upload went well."""
        self.uploaded = 0
        self._http = http
        self._queue = queue
        self._files = files
        self._monotonic = monotonic
        self._chance = chance or random.Random()  # noqa: S311
        self._attempts: dict[str, _Attempt] = {}
        self._wanted = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Upload until ``stop`` is set; a thread of its own."""
        while not stop.is_set():
            self._wanted.clear()
            if not self.step(stop):
                self._wanted.wait(_WAIT_S)

    def wake(self) -> None:
        """There may be something new to upload."""
        self._wanted.set()

    def step(self, stop: threading.Event) -> bool:
        """Try the first file that is due; False where none is."""
        now = self._monotonic()
        waiting = self._queue.pending()
        due = [p for p in waiting if p.sha256 not in self._attempts or now >= self._attempts[p.sha256].due]
        if not due:
            return False
        self._try(due[0], stop)
        return True

    def _try(self, pending: Pending, stop: threading.Event) -> None:
        path = self._files.path(pending.sha256)
        try:
            done = self._upload(path, pending, stop)
        except FileNotFoundError:
            _log.warning("evidence.vanished", sha256=pending.sha256)
            self._queue.vanished(pending.sha256)
            self._attempts.pop(pending.sha256, None)
        except RefusedError as error:
            self._refuse(pending, str(error))
        except (PassingError, httpx.HTTPError, OSError) as error:
            self._put_off(pending, str(error) or type(error).__name__)
        else:
            if done:
                self._confirm(pending)

    def _upload(self, path: Path, pending: Pending, stop: threading.Event) -> bool:
        """True when the cloud has the whole file; False where ``stop`` cut it short."""
        with path.open("rb") as file:
            size = path.stat().st_size
            offset, whole = self._offset(pending.sha256)
            while not whole:
                if stop.is_set():
                    return False
                file.seek(offset)
                offset = self._send(pending.sha256, file.read(PIECE_BYTES), offset, size)
                whole = offset == size
        return True

    def _offset(self, sha256: str) -> tuple[int, bool]:
        """How much of the file the cloud has, and whether it keeps the whole: only then it tells its length."""
        response = self._http.head(upload_path(sha256))
        if response.status_code == httpx.codes.NOT_FOUND:
            return 0, False
        _check(response)
        return _read_offset(response), LENGTH_HEADER in response.headers

    def _send(self, sha256: str, piece: bytes, offset: int, size: int) -> int:
        """Append a piece; the offset from which to go on."""
        headers = {
            OFFSET_HEADER: str(offset),
            LENGTH_HEADER: str(size),
            "Content-Type": "application/offset+octet-stream",
        }
        response = self._http.patch(upload_path(sha256), content=piece, headers=headers)
        _check(response)
        gone_on = _read_offset(response)
        if gone_on <= offset < size:
            raise PassingError(f"the cloud stays at byte {gone_on}")
        return gone_on

    def _confirm(self, pending: Pending) -> None:
        self._queue.confirmed(pending.sha256)
        self._files.remove(pending.sha256)
        self._attempts.pop(pending.sha256, None)
        self.uploaded += 1
        self.reason = ""
        _log.info("evidence.uploaded", sha256=pending.sha256, bytes=pending.bytes)

    def _refuse(self, pending: Pending, reason: str) -> None:
        if pending.refused + 1 < MAX_REFUSALS:
            self._queue.refused(pending.sha256)
            self._put_off(pending, reason)
            return
        self.reason = f"evidence {pending.sha256[:12]} given up: {reason}"
        _log.error("evidence.refused", sha256=pending.sha256, reason=reason, tries=MAX_REFUSALS)
        self._queue.dropped(pending.sha256)
        self._files.remove(pending.sha256)
        self._attempts.pop(pending.sha256, None)

    def _put_off(self, pending: Pending, reason: str) -> None:
        before = self._attempts.get(pending.sha256)
        pause = _PAUSE_S[0] if before is None else min(before.pause * 2, _PAUSE_S[1])
        due = self._monotonic() + pause * self._chance.uniform(0.5, 1.5)
        self._attempts[pending.sha256] = _Attempt(due, pause)
        if reason != self.reason:
            _log.warning("evidence.put_off", sha256=pending.sha256, reason=reason)
        self.reason = reason


def basic_auth(site: str, node: str, secret: str) -> dict[str, str]:
    """The header a node shows the cloud: HTTP Basic (RFC 7617), the name being ``site/node``."""
    word = base64.b64encode(f"{site}/{node}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {word}"}


def _check(response: httpx.Response) -> None:
    """Raises ``PassingError`` or ``RefusedError`` for what is no success."""
    if response.is_success:
        return
    detail = f"{response.request.method} {response.request.url.path} answered {response.status_code}"
    if response.status_code in _PASSING or not response.is_client_error:
        raise PassingError(detail)
    raise RefusedError(f"{detail} {response.text[:200]}".strip())


def _read_offset(response: httpx.Response) -> int:
    try:
        return int(response.headers[OFFSET_HEADER])
    except (KeyError, ValueError) as error:
        raise PassingError(f"{response.request.url.path} answered without {OFFSET_HEADER}") from error
