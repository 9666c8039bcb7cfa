"""Where the models lie that a node came with."""

import importlib.util
from pathlib import Path
from typing import Final

from edge.vision.engine import EngineError

_PACKAGE: Final = "models.zoo"
"""Installed beside this package. It is found by name and never imported: the box needs its files, not its code."""


def shipped_release(models: Path | None, name: str) -> Path:
    """The folder of detector ``name``, with its ``manifest.json``.

    Args:
        models: ``models`` of ``node.yaml``; None means the zoo that is installed with the node.
        name: of the detector.

    Raises:
        EngineError: there is no such folder, or no zoo is installed.
    """
    places = [models] if models is not None else _installed()
    for place in places:
        if (place / name / "manifest.json").is_file():
            return place / name
    where = ", ".join(str(place) for place in places) or f"package {_PACKAGE}, which is not installed"
    known = sorted({path.parent.name for place in places for path in place.glob("*/manifest.json")})
    raise EngineError(
        f"no model {name!r} in {where}; known there: {', '.join(known) or 'none'}. "
        "Name another in cameras.*.detectors, or another folder with 'models', in node.yaml"
    )


def _installed() -> list[Path]:
    try:
        spec = importlib.util.find_spec(_PACKAGE)
    except ModuleNotFoundError:
        return []
    return [Path(place) for place in spec.submodule_search_locations or ()] if spec is not None else []
