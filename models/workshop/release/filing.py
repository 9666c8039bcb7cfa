"""What a regulator asks of a system such as a detector is part of, and the answers that a release can give.

Two laws, and of each only what a source at hand states:

- Regulation (EU) 2024/1689 (AI Act): Annex IV, points 1 to 3 (technical documentation, Article 11(1)), text at
  https://www.aiactblog.nl/en/ai-act/bijlage/4 and https://aiact.annotated.nl/en/aiact/annex/iv/2/; Article 13(3)
  (instructions for use), contents at https://trusq.io/en/instructions-transparency-art13.html and
  https://aai-institute.github.io/practical-ai-act/development/conformity/instructions-for-use; Annex III, points 1 and
  2, text at https://www.sipoch.com/en/articles/300330018676673.
- China, Administrative Provisions on Algorithm Recommendation for Internet Information Services, Articles 2 and 24:
  http://appinchina.co/government-documents/administrative-provisions-on-algorithm-recommendation-for-internet-information-services
  and https://www.dataguidance.com/news/china-cac-announces-launch-internet-information.

Whether a law applies to an installation is the operator's to find out: a card takes no side. Article 6 and the points
of Annex III other than 1 and 2 are not answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contract.manifest import Manifest

EU = "EU: Regulation (EU) 2024/1689 (AI Act)"
CHINA = "China: Provisions on Algorithm Recommendation for Internet Information Services"
ANSWERABLE = "The operator who assigns the release. Maker: Vedette."
TARGETS = {
    "x86-u8s8": "x86-64 with VNNI",
    "arm64-s8s8": "64-bit ARM",
    "onnx-fp32": "any processor with ONNX Runtime (reference)",
}


@dataclass(frozen=True)
class Answer:
    """One thing that a law asks, where, and the answer."""

    law: str
    asked: str
    where: str
    answer: str


def answers(
    manifest: Manifest, purpose: str, limits: Sequence[str], misuse: Sequence[str], oversight: str
) -> list[Answer]:
    """The filing data of a release, from its manifest and its prose."""
    pictures = sum(one.images for one in manifest.datasets)
    follows = f"follows {manifest.follows}" if manifest.follows else "no version before it is stated"
    hardware = "; ".join(f"{name}: {TARGETS.get(name, 'see Artefacts')}" for name in manifest.artefacts)
    runtime = ", ".join(f"{name} {version}" for name, version in manifest.minimum_runtime.items()) or "not stated"
    splits = ", ".join(dict.fromkeys(m.split for m in manifest.metrics if m.split)) or "none"
    sums = ", ".join(f"{name} {one.sha256}" for name, one in manifest.artefacts.items())
    answerable = manifest.answerable or ANSWERABLE
    eu = (
        ("intended purpose", "Annex IV 1(a), Art. 13(3)(b)", purpose),
        ("provider; who is answerable", "Annex IV 1(a), Art. 13(3)(a)", answerable),
        (
            "version, and its relation to previous versions",
            "Annex IV 1(a)",
            f"{manifest.version} of {manifest.created or 'no stated date'}, {follows}",
        ),
        ("versions of relevant software", "Annex IV 1(c)", runtime),
        (
            "forms in which it is put into service",
            "Annex IV 1(d)",
            f"a signed release for Vedette boxes: {len(manifest.files())} files; SHA-256 of the artefacts: {sums}",
        ),
        ("hardware on which it is intended to run", "Annex IV 1(e), Art. 13(3)(e)", hardware),
        (
            "methods and steps of development, pre-trained systems used",
            "Annex IV 2(a)",
            f"section Training; {manifest.notice or 'no pre-trained system is named'}",
        ),
        (
            "training data sets, their provenance and characteristics",
            "Annex IV 2(d)",
            (
                f"{pictures} pictures of {len(manifest.datasets)} sources, with licence and number in section "
                "Training; sets named 'taught' were labelled by a published network, 'drawn' and 'alight' by the "
                "program that drew them, the others as they were published"
            ),
        ),
        ("human oversight measures", "Annex IV 2(e), Art. 14", oversight),
        (
            "validation and testing, metrics of accuracy and robustness",
            "Annex IV 2(g)",
            (
                f"section Measured, split {splits}, in slices; {len(manifest.metrics)} figures; "
                f"{len(manifest.golden)} golden samples that each box runs before it switches"
            ),
        ),
        ("limits of its performance", "Annex IV 3, Art. 13(3)(b)", " ".join(limits)),
        ("foreseeable misuse and circumstances that lead to risks", "Art. 13(3)(b)", " ".join(misuse)),
        (
            "remote biometric identification, categorisation, emotion recognition",
            "Annex III 1",
            f"none: it gives boxes with the labels {', '.join(manifest.labels)}, and no identity",
        ),
        (
            (
                "safety component of critical digital infrastructure, road traffic, or the supply of water, gas, "
                "heating or electricity"
            ),
            "Annex III 2",
            "it controls nothing; whether an installation is used so is the operator's to state",
        ),
    )
    china = (
        ("name of the service provider", "Art. 24", answerable),
        ("form of service", "Art. 24", "boxes at cameras, and a service for an emergency centre; not for the public"),
        ("field of application", "Art. 24", purpose),
        (
            "type of algorithm",
            "Art. 24",
            (
                "object detection in pictures; Art. 2 names generation and synthesis, personalised push, sorting and "
                "selection, retrieval and filtering, scheduling and decision-making"
            ),
        ),
        ("self-assessment of the algorithm", "Art. 24", "sections Measured, Limits and Not for"),
        ("content to be published", "Art. 24", "this card"),
    )
    return [Answer(EU, *one) for one in eu] + [Answer(CHINA, *one) for one in china]
