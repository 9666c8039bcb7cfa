"""Everything that a card reports, measured in one go: sets, clips, and time.

`detect` functions must give detections down to a score of about 0.05; the shipped thresholds are applied here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from contract.detections import Detection, iou
from models.workshop.evaluation.degraded import WORDS, degrade
from models.workshop.evaluation.evaluate import SETS, Detect, Figure, evaluate, examine
from models.workshop.evaluation.reading import Reads, ask, figures
from models.workshop.sets.data import Image, read_set

REFERENCE, SHIPPED = "onnx-fp32", "x86-u8s8"
BURNING = "house6.mp4"
QUIET = (
    "one-by-one-person-detection.mp4",
    "car-detection.mp4",
    "traffic_camera.mp4",
    "daylight-road.avi",
    "crossing.mp4",
    "handheld-street.mp4",
)


Clips = Callable[[Path, Detect, Mapping[str, float]], list[Figure]]
"""Figures of a detector on the clips of a data folder, at its thresholds."""


def measure(
    name: str,
    data: Path,
    detects: Mapping[str, Detect],
    thresholds: dict[str, float],
    clips: Clips | None = None,
) -> list[Figure]:
    """The figures of detector `name`: `val` and `test` with every artefact of `detects` (by target), clips and time.

    Only the shipped artefact is reported slice by slice, on clips, and at the thresholds. `clips` measures alarms as a
    box raises them (`vedette.false_alarms`); without it single frames are counted.
    """
    result: list[Figure] = []
    for target, detect in detects.items():
        for split in ("val", "test"):
            found = evaluate(name, data, split, detect, thresholds if target == SHIPPED else None)
            if target != SHIPPED:
                found = [f for f in found if not f.slice]
            result += [replace(f, conditions=f"{f.conditions}; {target}") for f in found]
    shipped = detects[SHIPPED]
    if name == "fire":
        result.append(burning(data, shipped, thresholds))
        found = clips(data, shipped, thresholds) if clips else list(quiet(data, shipped, thresholds))
        result += [replace(f, conditions=f"{f.conditions}; {SHIPPED}") for f in found]
    result += [speed(name, detect, target) for target, detect in detects.items() if target != "arm64-s8s8"]
    return result


def measure_reading(
    name: str, data: Path, detect: Detect, thresholds: Mapping[str, float], reads: Reads
) -> list[Figure]:
    """How plates are found and read, source by source and on degraded pictures: pictures with known texts, and plates
    that were cut out."""
    (label, threshold), *_ = thresholds.items()
    result: list[Figure] = []
    for split in ("read", "crop"):
        pictures = read_set(data / SETS[name], split)
        faults: list[str] = []
        if any(picture.boxed for picture in pictures):
            report = examine(name, data, split, detect, thresholds, ways=tuple(WORDS))
            faults += report.faults
            result += [replace(f, conditions=f"{f.conditions}; {SHIPPED}") for f in report.figures]
        asked = ask(pictures, label, detect, reads, threshold, faults)
        for way in WORDS:
            asked += ask(degrade(pictures, way), label, detect, reads, threshold, faults)
        if faults:
            raise ValueError(f"{len(faults)} pictures could not be read: {faults[0]}")
        result += [replace(f, table=()) for f in figures(name, asked, f"{SETS[name]}/{split}")]
    return result


def frames(path: Path, every: int) -> Iterator[tuple[int, Image]]:
    """Number and picture (BGR) of every `every`th frame. Raises `FileNotFoundError`, `ValueError` for a broken clip."""
    if not path.is_file():
        raise FileNotFoundError(f"clip {path} does not exist")
    capture = cv2.VideoCapture(str(path))
    number = 0
    while capture.grab():
        if number % every == 0:
            ok, image = capture.retrieve()
            if ok:
                yield number, np.asarray(image, np.uint8)
        number += 1
    if number == 0:
        raise ValueError(f"clip {path} has no frame that can be decoded")


def sure(found: list[Detection], thresholds: Mapping[str, float], label: str) -> list[Detection]:
    """Detections of a label that reach its threshold."""
    return [d for d in found if d.label == label and d.score >= thresholds[label]]


def burning(data: Path, detect: Detect, thresholds: Mapping[str, float], every: int = 6) -> Figure:
    """Share of frames of the burning house in which a flame is found where one is (IoU 0.1 or more with a true box)."""
    truths = boxes(data / "clips" / "house6.xml")
    hits = []
    for number, image in frames(data / "clips" / BURNING, every):
        if truths.get(number):
            h, w = image.shape[:2]
            true = [(x / w, y / h, (x + a) / w, (y + b) / h) for x, y, a, b in truths[number]]
            found = sure(detect(image), thresholds, "fire")
            hits.append(any(iou(d.box, t) >= 0.1 for d in found for t in true))
    about = f"clips/{BURNING}, every {every}th frame, {len(hits)} frames, score >= {thresholds['fire']:g}; {SHIPPED}"
    return Figure("fire.burning.seen", float(np.mean(hits)), "", about, f"clip={BURNING}")


def boxes(path: Path) -> dict[int, list[tuple[int, int, int, int]]]:
    """True flames by frame number (x, y, width, height in pixels), as OpenCV's annotation files store them."""
    tree = ElementTree.parse(path)  # noqa: S314 - a file of the data folder, not of a stranger
    result: dict[int, list[tuple[int, int, int, int]]] = {}
    for frame in tree.iterfind("./frames/_"):
        marks = [tuple(map(int, (mark.text or "").split())) for mark in frame.iterfind("./annotations/_")]
        result[int(frame.findtext("frameNumber", "-1"))] = [(m[0], m[1], m[2], m[3]) for m in marks if len(m) == 4]
    return result


def quiet(data: Path, detect: Detect, thresholds: Mapping[str, float], every: int = 10) -> Iterator[Figure]:
    """Share of frames of each clip without a fire in which fire, or smoke, is seen all the same."""
    for name in QUIET:
        found = [detect(image) for _, image in frames(data / "clips" / name, every)]
        for label in thresholds:
            share = float(np.mean([bool(sure(one, thresholds, label)) for one in found]))
            about = f"clips/{name}, every {every}th frame, {len(found)} frames, score >= {thresholds[label]:g}"
            yield Figure(f"fire.false_{label}", share, "", about, f"clip={name}")


def speed(
    name: str, look: Callable[[Image], object], target: str, size: tuple[int, int] = (640, 360), runs: int = 60
) -> Figure:
    """Median time of a picture of `size` (width, height), letterbox and what follows the network included."""
    image = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        look(image)
        times.append(time.perf_counter() - began)
    return Figure(f"{name}.ms", 1000 * statistics.median(times), "ms", f"{target}, one thread, {cpu()}, shared")


def cpu() -> str:
    """The processor's name, as Linux states it."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.is_file() else ""
    named = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return named[0] if named else "unknown processor"
