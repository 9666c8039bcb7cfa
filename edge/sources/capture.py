"""The process of one camera: pictures into shared memory, packets into the evidence ring, clips out of it.

One thread reads the camera; the main thread gives the signs of life, takes notices and cuts clips. A camera that fails
never ends the process: it is tried again for ever, and its state says why. A *decoder* that hangs does end it: the
reading thread breaks its promise, the signs of life cease, and the supervisor kills the process.
"""

import threading
import time
from collections.abc import Callable

import structlog

from contract.ids import Micros
from edge.config import NodeConfig
from edge.delivery.desk import RecordDesk
from edge.delivery.outbox import Outbox
from edge.evidence.files import EvidenceFiles
from edge.notices import ClipWanted, Notices, RecordsWaiting
from edge.paths import NodePaths
from edge.sources.clips import ClipCutter
from edge.sources.opening import open_camera
from edge.sources.reader import CameraReader, Opener
from edge.supervisor.status import PartStatus

_log = structlog.get_logger()
_TURN_S = 0.25


def _now() -> Micros:
    return time.time_ns() // 1000


def run(
    config: NodeConfig,
    camera: str,
    paths: NodePaths,
    stop: threading.Event,
    status: PartStatus,
    *,
    opener: Opener = open_camera,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Read one camera until ``stop``."""
    notices = Notices(paths.run, f"capture.{camera}")
    reader = CameraReader(camera, config.cameras[camera], paths.frames / camera, notices, stop, opener, monotonic)
    cutter = ClipCutter(camera, reader, EvidenceFiles(paths.evidence, config.storage.evidence_bytes))
    outbox = Outbox(paths.outbox, config.storage.outbox_bytes, _now)
    desk = RecordDesk(outbox, lambda: notices.send("delivery", RecordsWaiting()))
    thread = threading.Thread(target=reader.run, name="reader", daemon=True)
    thread.start()
    overdue = False
    try:
        while not stop.is_set():
            notice = notices.receive(_TURN_S)
            if isinstance(notice, ClipWanted):
                cutter.want(notice)
            desk.add(cutter.due(_now()))
            desk.flush()
            if not thread.is_alive() and not stop.is_set():
                raise RuntimeError("the reading thread has ended; its error stands above")
            if not reader.watch.overdue():
                overdue = False
                detail = {"source": reader.health(), "readings_thinned": desk.thinned}
                status.beat(detail, "degraded" if desk.problem else "ok", desk.problem)
            elif not overdue:
                overdue = True
                _log.error("camera.hangs", camera=camera, reason="reading or decoding does not come back")
    finally:
        # A camera that does not answer holds its thread for up to timeout_s; the process ends without waiting for it.
        thread.join(1.0)
        outbox.close()
        notices.close()
