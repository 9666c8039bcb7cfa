"""Clips that were asked for: kept in mind until their time has passed, then cut and put on record."""

import os
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from contract.ids import Micros
from contract.records import Evidence
from edge.evidence.clip import MEDIA_TYPE, ClipError, StreamForm, write_clip
from edge.evidence.files import EvidenceError, EvidenceFiles
from edge.evidence.ring import Packet
from edge.notices import ClipWanted

_log = structlog.get_logger()
_ARRIVAL: Final = 300_000
"""Microseconds left for the last packets to come in."""
LONGEST_S: Final = 60.0
"""Of a longer clip only the end is kept: its beginning has left the ring."""
_MOST: Final = 64
"""So many may be waited for at a time; more are refused, so that no flood of events fills the memory."""


class Tapes(Protocol):
    """Where the packets are."""

    def cut(self, start: Micros, end: Micros) -> tuple[StreamForm, tuple[Packet, ...]] | None:
        """The stream's form and its packets from ``start`` to ``end``; None where there are none."""

    @property
    def no_clip(self) -> str:
        """Why there can be no clips; empty where there can."""


@dataclass(frozen=True)
class _Wanted:
    start: Micros
    end: Micros


class ClipCutter:
    """One camera's clips.

    Args:
        camera: the source's name.
        tapes: its packets.
        files: where clips go.
    """

    def __init__(self, camera: str, tapes: Tapes, files: EvidenceFiles) -> None:
        self._camera, self._tapes, self._files = camera, tapes, files
        self._wanted: dict[str, _Wanted] = {}

    def want(self, notice: ClipWanted) -> None:
        """Remember; asked twice for one event, the clip covers both."""
        known = self._wanted.get(notice.event)
        if known is None and len(self._wanted) >= _MOST:
            _log.error("clip.refused", camera=self._camera, event_id=notice.event, reason=f"{_MOST} are waited for")
            return
        start, end = notice.start, min(notice.end, notice.start + int(LONGEST_S * 1e6))
        if known is not None:
            start, end = min(start, known.start), max(end, known.end)
        self._wanted[notice.event] = _Wanted(start, end)

    def due(self, now: Micros) -> list[Evidence]:
        """Cut what is due; one record a clip."""
        due = [event for event, wanted in self._wanted.items() if now >= wanted.end + _ARRIVAL]
        made = (self._cut(event, self._wanted.pop(event)) for event in due)
        return [evidence for evidence in made if evidence is not None]

    def _cut(self, event: str, wanted: _Wanted) -> Evidence | None:
        found = self._tapes.cut(wanted.start, wanted.end)
        if found is None:
            reason = self._tapes.no_clip or "the packet ring holds nothing of that time"
            _log.warning("clip.none", camera=self._camera, event_id=event, reason=reason)
            return None
        form, packets = found
        path = self._files.folder / f".partial-{os.getpid()}-clip.mp4"
        try:
            duration = write_clip(path, form, packets)
            sha256, size = self._files.add(path)
        except (ClipError, EvidenceError, OSError) as error:
            path.unlink(missing_ok=True)
            _log.error("clip.failed", camera=self._camera, event_id=event, reason=str(error))
            return None
        _log.info("clip.made", camera=self._camera, event_id=event, sha256=sha256, bytes=size)
        return Evidence(
            event=event,
            sha256=sha256,
            bytes=size,
            media_type=MEDIA_TYPE,
            role="clip",
            source=self._camera,
            time=packets[0].captured,
            duration_s=round(duration, 3),
        )
