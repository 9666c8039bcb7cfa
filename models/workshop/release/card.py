"""The model card: what a detector is for, what it was made from, how good it is, where it fails, who answers for it.

All numbers come from the manifest and from the study of its quantization; nothing is typed by hand (Mitchell et al.,
"Model Cards for Model Reporting", arXiv:1810.03993, for what a card should say).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.manifest import Manifest, Metric
from models.workshop.quantization.record import Study, read_study
from models.workshop.release.filing import Answer, answers

SHIPPED = "x86-u8s8"
WARN = 0.01
"""Loss of mAP50 to INT8 from which the card warns."""
OVERSIGHT = (
    "A detection warns nobody by itself: the box asks for confirmation over time, the rules raise a warning with its "
    "evidence, and an officer acts on it. A release can be stopped on its way and is taken back when nodes do worse."
)
MISUSE = (
    "In place of smoke detectors, a fire alarm system, or people on watch.",
    "As proof about a person, or to decide about one.",
    "With thresholds under the shipped ones and without confirmation over time.",
)
# What a reader wants first, in this order: a pattern of the figure's name, and of its slice.
FIRST: tuple[tuple[str, str], ...] = (
    (r"map50", ""),
    (r"(.+\.)?ap50", ""),
    (r"(.+\.)?ap50", r"source=.*cctv.*"),
    (r"(.+\.)?like_rate", ""),
    (r"negatives\.fired(_upper)?", r".*"),
    (r"mae|mse|within_90", ""),
    (r"mae", r"source=.*"),
    (r"whole_read(_e2e)?|char_acc", ""),
    (r"ap50|whole_read(_e2e)?", r"source=.*"),
    (r"mae|ap50|whole_read_e2e", r"look=.*"),
    (r".*alarms?.*", ""),
    (r"exposure", ""),
    (r"covered_heads|boxes_on_labelled_heads|int8_agreement", ""),
    (r"int8_loss", ""),
    (r".*ms", ""),
)


@dataclass(frozen=True)
class Prose:
    """What numbers cannot say: the purpose, how it was trained, what it fails at, what it is not for, who oversees."""

    purpose: str
    training: str
    limits: tuple[str, ...]
    misuse: tuple[str, ...] = MISUSE
    oversight: str = OVERSIGHT


def write_card(folder: Path, manifest: Manifest, prose: Prose, tried: Sequence[str] | None = None) -> Path:
    """Write `card.md` beside the manifest. Returns its path.

    `tried` says what quantization tried; when left out, the table of `quantization.json` where there is one. Raises
    `record.RecordError` for a `quantization.json` that cannot be read.
    """
    path = folder / "card.md"
    if tried is None:
        study = read_study(folder)
        tried = () if study is None else quantization(study)
    path.write_text(card(manifest, prose, tried), encoding="utf-8")
    return path


def card(manifest: Manifest, prose: Prose, tried: Sequence[str] = ()) -> str:
    """The card as Markdown; `tried` says what quantization tried."""
    spec = manifest.input
    size = f"{spec.width}x{spec.height}"
    free = f"any sides that are multiples of {spec.stride}, at most the area of {size}"
    shape = free if spec.shape == "fit" else size
    thresholds = ", ".join(f"{label} {value:g}" for label, value in manifest.thresholds.items())
    said = f"Labels: {', '.join(manifest.labels)}. Thresholds: {thresholds}"
    if manifest.counting is not None:
        law = manifest.counting
        said = (
            f"Counts in cells of {law.cell}x{law.cell} pixels. The standard deviation of a sum over cells is the root "
            f"of {law.spread:g} times its variance plus the square of {law.relative:g} times its mean"
        )
    parts = [
        f"# {manifest.name} {manifest.version}",
        prose.purpose,
        f"{said}. Input: {shape} pixels, RGB, uint8.",
        "## In short",
        summary(manifest),
        *warnings(manifest.metrics),
        "## Artefacts",
        table(
            ("target", "file", "precision", "MB", "SHA-256"),
            [
                (t, a.file, a.precision, f"{a.bytes / 1e6:.2f}", f"`{a.sha256[:16]}…`")
                for t, a in manifest.artefacts.items()
            ]
            + [
                (f"reader {r.name}", r.file, r.precision, f"{r.bytes / 1e6:.2f}", f"`{r.sha256[:16]}…`")
                for r in manifest.readers
            ],
        ),
        "## Training",
        prose.training,
        table(("data", "licence", "pictures"), [(d.name, d.licence, str(d.images)) for d in manifest.datasets]),
        *(["## Quantization", *tried] if tried else []),
        "## Measured",
        *measured(manifest),
        "## Limits",
        bullets(prose.limits),
        "## Not for",
        bullets(prose.misuse),
        "## Filing data",
        *filed(answers(manifest, prose.purpose, prose.limits, prose.misuse, prose.oversight)),
        "## Licence",
        f"{manifest.licence}. {manifest.notice}".strip(),
        *(f"Reader {r.name}: {r.licence}. {r.notice}".strip() for r in manifest.readers),
    ]
    return "\n\n".join(parts) + "\n"


def summary(manifest: Manifest) -> str:
    """The figures that matter first, of the artefact shipped for x86, `test` before `val`."""
    rows = []
    for name, part in FIRST:
        found = [
            m
            for m in manifest.metrics
            if re.fullmatch(rf"{manifest.name}\.(?:{name})", m.name)
            and re.fullmatch(part, part_of(m))
            and target(m, manifest.artefacts) in ("", SHIPPED)
            and m.split != "train"
        ]
        for metric in sorted(found, key=lambda m: {"test": 0, "val": 1}.get(m.split, 2)):
            row = (
                _named(metric),
                _value(metric),
                metric.unit,
                _on(metric, manifest.name) or _about(metric, manifest.artefacts),
            )
            if row not in rows:
                rows.append(row)
    return table(("figure", "value", "unit", "on"), rows) if rows else "Nothing was measured."


def warnings(metrics: Iterable[Metric]) -> list[str]:
    """A line for each artefact that lost more to INT8 than it may."""
    return [
        f"**Warning:** {m.data}: INT8 loses {m.value:.3f} of mAP50, more than {WARN:g}."
        for m in metrics
        if m.name.endswith(".int8_loss") and m.value > WARN
    ]


def measured(manifest: Manifest) -> list[str]:
    """Every figure, in a table for each artefact, split and slice."""
    groups: dict[tuple[str, str, str], list[Metric]] = {}
    for metric in manifest.metrics:
        key = (target(metric, manifest.artefacts), metric.split, part_of(metric))
        groups.setdefault(key, []).append(metric)
    order = {name: number for number, name in enumerate(("", *manifest.artefacts))}
    parts: list[str] = []
    for key in sorted(groups, key=lambda k: (k[1] not in ("test", "val"), k[1], bool(k[2]), order.get(k[0], 99), k[2])):
        artefact, split, part = key
        title = ", ".join(p for p in (split or "other", part, artefact) if p)
        rows = [(m.name, _value(m), m.unit, _about(m, manifest.artefacts)) for m in groups[key]]
        parts += [f"### {title}", table(("figure", "value", "unit", "measured on"), rows)]
    return parts or ["Nothing was measured."]


def quantization(study: Study) -> list[str]:
    """What was tried, what was chosen, and why."""
    lines = [
        (
            f"Measured on {study.data}; calibrated on {study.calibration}. {study.machine}; one thread, in turns with "
            f"FP32 ({study.fp32_bytes / 1e6:.2f} MB, mAP50 {study.fp32_map50:.3f} on these pictures). Loss is FP32's "
            "mAP50 less that of INT8, F1 the same of F1 at the shipped thresholds; time is a share of FP32's."
        ),
        bullets(f"`{name}`: {reason}." for name, reason in study.reasons.items()),
    ]
    for name in study.chosen:
        rows = []
        for row in sorted((r for r in study.rows if r.target == name), key=lambda r: (r.excess, r.time)):
            mark = "**shipped** " if row.settings == study.chosen[name] else ""
            whole = ("", "") if row.val_loss is None else (f"{row.val_loss:+.4f}", f"{row.val_f1_loss:+.4f}")
            layers = len(row.settings.float_layers)
            rows.append(
                (
                    f"{mark}{row.what}",
                    str(layers),
                    f"{row.loss:+.4f}",
                    f"{row.f1_loss:+.4f}",
                    *whole,
                    f"{row.time:.2f}",
                    f"{row.bytes / 1e6:.2f}",
                )
            )
        lines += [
            f"### {name}",
            table(("setting", "FP32 layers", "loss", "F1", "loss on val", "F1 on val", "time", "MB"), rows),
        ]
    if study.layers:
        worst = ", ".join(f"`{layer.name}` {layer.moved:.2f}" for layer in study.layers[:8])
        lines.append(f"Layers that move the scores of a picture most when they alone are in INT8: {worst}.")
    if study.activations:
        compared = [
            (a.function, a.network, f"{a.fp32 - a.int8:+.4f}", f"{a.time:.2f}", f"{a.int8_ms:.2f}", a.size, a.data)
            for a in study.activations
        ]
        head = ("activation", "network", "loss", "INT8 time of FP32", "INT8 ms", "input", "measured on")
        lines += ["### Activation functions, quantized the same way", table(head, compared)]
    return lines


def filed(found: Sequence[Answer]) -> list[str]:
    """The filing data as tables, one for each law."""
    parts: list[str] = []
    for law in dict.fromkeys(one.law for one in found):
        rows = [(one.asked, one.where, one.answer) for one in found if one.law == law]
        parts += [f"### {law}", table(("what is asked", "where", "answer"), rows)]
    return parts


def target(metric: Metric, artefacts: Iterable[str]) -> str:
    """The artefact that a figure is of, empty where its conditions name none."""
    return next((name for name in artefacts if re.search(rf"(^|[;,] ?){re.escape(name)}\b", metric.data)), "")


def part_of(metric: Metric) -> str:
    """The slice of a figure; of an older manifest the source that its data name behind the split."""
    found = re.match(r"[\w-]+/(?:train|val|test)/([^,;]+)", metric.data)
    return metric.slice or (f"source={found[1]}" if found else "")


def _about(metric: Metric, artefacts: Iterable[str]) -> str:
    return re.sub(rf"; {re.escape(target(metric, artefacts) or '-')}$", "", metric.data)


def _on(metric: Metric, name: str) -> str:
    """The split; with its set, where that is not the detector's own."""
    where = re.split("[,;]", metric.data)[0]
    return metric.split if metric.split and where.startswith(f"{name}/") else where if metric.split else ""


def _named(metric: Metric) -> str:
    return f"{metric.name} ({part_of(metric)})" if part_of(metric) else metric.name


def _value(metric: Metric) -> str:
    return f"{metric.value:.3g}" if metric.unit else f"{metric.value:.3f}"


def bullets(lines: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a bar within a cell is a letter."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
