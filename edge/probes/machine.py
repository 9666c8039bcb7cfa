"""The machine: room on the disk for what cannot be sent, room in memory for the frames."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from edge.config import NodeConfig
from edge.probes.finding import Finding, Probe
from edge.sources.camera import WIDEST
from edge.sources.frames import SLOTS

_LEAST: Final = 300_000_000
"""Bytes below which not even a day's alarms and their pictures have room."""
_LARGEST_FRAME: Final = WIDEST * WIDEST * 3 * 9 // 16


def machine_probes(config: NodeConfig, run: Path) -> list[Probe]:
    """Disk and memory."""
    return [
        Probe("storage", str(config.storage.folder), lambda: try_storage(config), 30.0),
        Probe("memory", str(run), lambda: try_memory(config, run), 5.0),
    ]


def try_storage(config: NodeConfig) -> Finding:
    """Write a file, on the disk for good, and see how much room is left."""
    folder = config.storage.folder
    trial = folder / f".check-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with trial.open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        trial.unlink()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        way_out = "give it to this user or name another (storage.folder)"
        return Finding(
            "storage", str(folder), ok=False, detail=f"cannot be written to: {error.strerror}", way_out=way_out
        )
    wanted = config.storage.outbox_bytes + config.storage.evidence_bytes
    detail = f"{_size(free)} free"
    if free < _LEAST:
        return Finding("storage", str(folder), ok=False, detail=detail, way_out=f"make room: {_size(_LEAST)} at least")
    if free < wanted:
        detail += f", less than the {_size(wanted)} that outbox_bytes and evidence_bytes allow"
    return Finding("storage", str(folder), ok=True, detail=detail)


def try_memory(config: NodeConfig, run: Path) -> Finding:
    """Whether the frame slots of all cameras have room in the run folder's file system."""
    place = next(path for path in (run, *run.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    wanted = len(config.cameras) * SLOTS * _LARGEST_FRAME
    detail = f"{_size(free)} free for frames; {_size(wanted)} at most are needed"
    if free < wanted:
        way_out = "give the memory file system more room (docker: --shm-size), or another folder with --run-dir"
        return Finding("memory", str(place), ok=False, detail=detail, way_out=way_out)
    return Finding("memory", str(place), ok=True, detail=detail)


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
