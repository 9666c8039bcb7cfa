"""Golden samples: pictures that travel with a release, and what it must see in them before it may take over."""

from pathlib import Path
from typing import Final

from contract.golden import difference, miscounted
from contract.manifest import Golden, Manifest
from edge.updates.release import ReleaseError
from edge.vision.count_engine import CountEngine
from edge.vision.engine import Engine, EngineError
from edge.vision.picture import Bgr, PictureError, read_picture
from edge.vision.plates.reader import PlateReader

SLACK: Final = 0.5
"""Looked at below the thresholds too: a score that another machine's rounding pushed under is within tolerance."""


def run_golden(manifest: Manifest, folder: Path, engine: Engine) -> None:
    """Let ``engine`` look at every golden sample of the release.

    Raises:
        ReleaseError: it cannot look, or sees something else; names the picture and the first difference.
    """
    try:
        reader = PlateReader(manifest.readers, folder) if manifest.readers else None
    except EngineError as error:
        raise ReleaseError(f"reader: {error}") from error
    try:
        for golden in manifest.golden:
            try:
                fault = _fault(manifest, golden, read_picture(folder / golden.file), engine, reader)
            except (EngineError, PictureError) as error:
                raise ReleaseError(f"golden sample {golden.file}: {error}") from error
            if fault:
                raise ReleaseError(f"golden sample {golden.file}: {fault}")
    finally:
        if reader is not None:
            reader.close()


def _fault(manifest: Manifest, golden: Golden, image: Bgr, engine: Engine, reader: PlateReader | None) -> str:
    """What is seen, read or counted wrongly, empty where nothing is."""
    if isinstance(engine, CountEngine):
        return miscounted(golden.count or 0.0, engine.count(image).count().heads, manifest.golden_tolerance)
    found = engine.detect(image, slack=SLACK)
    fault = difference(golden.expected, found, manifest.thresholds, manifest.golden_tolerance)
    if fault or reader is None:
        return fault
    for expected, text in zip(golden.expected, golden.texts, strict=False):
        read = reader.text(image, expected.box)
        if read != text:
            return f"read {read!r} where {text!r} is expected"
    return ""
