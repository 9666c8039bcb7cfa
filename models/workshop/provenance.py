"""Where a file of the work folder comes from: written down by the step that makes it, beside what it makes.

`work/<name>.<step>.json` holds the command, versions, seed, recipe, device, threads, the inputs with their SHA-256,
what was reached, and each run of the step with its begin and end: a step that was broken off has several.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("vedette", "torch", "numpy", "onnx", "onnxruntime", "opencv-python-headless", "opencv-python")
FORMAT = 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Record:
    """What a step writes down while it runs."""

    inputs: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def takes(self, *paths: Path) -> None:
        """These files are inputs, with what they hold now."""
        for path in paths:
            self.inputs[str(path)] = file_hash(path)

    def states(self, **facts: Any) -> None:
        """Facts by name, such as `seed=3` or `figures={"fire.map50": 0.61}`; the later one counts."""
        self.facts |= facts


@contextmanager
def recorded(
    path: Path, command: str, again: Callable[[Mapping[str, Any]], bool] = lambda _: True, now: Callable[[], str] = _now
) -> Iterator[Record]:
    """Keep the record of a step in `path`: written when it begins, and again when it ends, well or not.

    `again` tells, from the record of earlier runs, whether this run goes on with them; otherwise they are forgotten.
    Raises `OSError` when the record cannot be written.
    """
    before = read_record(path)
    runs = list(before.get("runs", [])) if before and again(before) else []
    run: dict[str, Any] = {"command": command, "started": now(), "ended": None, "outcome": "running"}
    record = Record()

    def write() -> None:
        write_json(
            path,
            {
                "format": FORMAT,
                "versions": versions(),
                "machine": f"{platform.machine()}, {os.cpu_count()} processors",
                "inputs": record.inputs,
                **record.facts,
                "runs": [*runs, run],
            },
        )

    write()
    try:
        yield record
    except BaseException as error:
        run |= {"ended": now(), "outcome": f"broken off: {type(error).__name__}: {error}".rstrip(": ")}
        with suppress(OSError):  # the first error is the one to tell
            write()
        raise
    run |= {"ended": now(), "outcome": "done"}
    write()


def read_record(path: Path) -> dict[str, Any]:
    """The record of a step; empty where there is none that can be read."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("format") == FORMAT else {}


def versions() -> dict[str, str]:
    """Versions of Python and of those of `PACKAGES` that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def file_hash(path: Path) -> str:
    """SHA-256 of a file. Raises `FileNotFoundError`."""
    return sha256(path.read_bytes()).hexdigest()


def digest(parts: Iterable[object]) -> str:
    """SHA-256 over the texts of some values, in their order."""
    total = sha256()
    for part in parts:
        total.update(repr(part).encode() + b"\0")
    return total.hexdigest()


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all."""
    write_whole(path, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and onto the disk: what was there stays until the new one is complete.

    Raises `OSError` naming the file, with the old one untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        kept = "; the one before is kept" if path.is_file() else ""
        raise OSError(f"{path}: could not be written ({error.strerror}){kept}; make room and run it again") from error
