"""The model card: what a detector is for, what it was made from, how good it is, and where it fails.

All numbers come from the manifest; nothing is typed by hand (Mitchell et al., "Model Cards for Model Reporting",
arXiv:1810.03993, for what a card should say).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.manifest import Manifest, Metric


@dataclass(frozen=True)
class Prose:
    """What numbers cannot say: the purpose, how it was trained, what it fails at."""

    purpose: str
    training: str
    limits: tuple[str, ...]


def write_card(folder: Path, manifest: Manifest, prose: Prose) -> Path:
    """Write `card.md` beside the manifest; returns its path."""
    path = folder / "card.md"
    path.write_text(card(manifest, prose), encoding="utf-8")
    return path


def card(manifest: Manifest, prose: Prose) -> str:
    """The card as Markdown."""
    size = f"{manifest.input.width}x{manifest.input.height}"
    thresholds = ", ".join(f"{label} {value:g}" for label, value in manifest.thresholds.items())
    parts = [
        f"# {manifest.name} {manifest.version}",
        prose.purpose,
        f"Labels: {', '.join(manifest.labels)}. Input: {size} pixels, RGB, uint8. Thresholds: {thresholds}.",
        "## Artefacts",
        table(
            ("target", "file", "precision", "MB"),
            [(t, a.file, a.precision, f"{a.bytes / 1e6:.2f}") for t, a in manifest.artefacts.items()],
        ),
        "## Training",
        prose.training,
        table(("data", "licence", "pictures"), [(d.name, d.licence, str(d.images)) for d in manifest.datasets]),
        "## Measured",
        figures(manifest.metrics),
        "## Limits",
        "\n".join(f"- {limit}" for limit in prose.limits),
        "## Licence",
        f"{manifest.licence}. {manifest.notice}".strip(),
    ]
    return "\n\n".join(parts) + "\n"


def figures(metrics: Sequence[Metric]) -> str:
    """The measured figures as a table."""
    rows = [(m.name, f"{m.value:.3g}" if m.unit else f"{m.value:.3f}", m.unit, m.data) for m in metrics]
    return table(("figure", "value", "unit", "measured on"), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)
