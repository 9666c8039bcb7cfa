"""Figures as a section of a Markdown document, each benchmark's own, replaced when it is measured again."""

from collections.abc import Sequence
from pathlib import Path

from bench.frame import Figure


def section(name: str, figures: Sequence[Figure]) -> str:
    """A table of the figures, and under it the conditions of the first: they were all taken in one run."""
    rows = [
        f"| `{figure.name}` | {figure.ours:.4g} | {_cell(figure.reference)} | {_cell(figure.ratio)} | {figure.unit} "
        f"| {figure.repeats} | {figure.spread:.3g} |"
        for figure in figures
    ]
    about = "; ".join(f"{name}: {value}" for name, value in (figures[0].conditions if figures else {}).items())
    return "\n".join(
        [
            f"## {name}",
            "",
            "| figure | ours | reference | ratio | unit | repeats | spread |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            f"Conditions: {about}.",
            "",
        ]
    )


def replace_section(document: Path, name: str, figures: Sequence[Figure]) -> None:
    """Write the section into ``document``, in place of the last one of that name; other sections stay."""
    text = document.read_text() if document.exists() else ""
    head, *others = text.split("\n## ")
    kept = [other for other in others if other.split("\n", 1)[0].strip() != name]
    sections = sorted([*kept, section(name, figures).removeprefix("## ")], key=lambda one: one.split("\n", 1)[0])
    document.write_text("\n## ".join([head.rstrip() + "\n", *(one.rstrip() + "\n" for one in sections)]))


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
