"""Golden samples: pictures that travel with a release, and what it must see in them before it may take over."""

from pathlib import Path
from typing import Final

from contract.golden import difference
from contract.manifest import Manifest
from edge.updates.release import ReleaseError
from edge.vision.engine import Engine, EngineError
from edge.vision.picture import PictureError, read_picture

SLACK: Final = 0.5
"""Looked at below the thresholds too: a score that another machine's rounding pushed under is within tolerance."""


def run_golden(manifest: Manifest, folder: Path, engine: Engine) -> None:
    """Let ``engine`` look at every golden sample of the release.

    Raises:
        ReleaseError: it cannot look, or sees something else; names the picture and the first difference.
    """
    for golden in manifest.golden:
        try:
            found = engine.detect(read_picture(folder / golden.file), slack=SLACK)
        except (EngineError, PictureError) as error:
            raise ReleaseError(f"golden sample {golden.file}: {error}") from error
        fault = difference(golden.expected, found, manifest.thresholds, manifest.golden_tolerance)
        if fault:
            raise ReleaseError(f"golden sample {golden.file}: {fault}")
