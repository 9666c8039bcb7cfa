"""The model zoo: one folder a detector, with card, manifest, artefacts and golden samples."""

from __future__ import annotations

from pathlib import Path

from contract.manifest import Manifest, decode_manifest

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The detectors in the zoo, in alphabetical order."""
    return sorted(path.parent.name for path in FOLDER.glob("*/manifest.json"))


def load(name: str) -> tuple[Manifest, Path]:
    """The manifest of a detector, and the folder in which its files lie.

    Raises `KeyError` naming the known detectors, `contract.manifest.ManifestError` when the manifest is broken.
    """
    if name not in names():
        raise KeyError(f"no model '{name}' in the zoo; known: {', '.join(names()) or 'none'}")
    folder = FOLDER / name
    return decode_manifest((folder / "manifest.json").read_bytes()), folder
