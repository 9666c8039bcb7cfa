"""False alarms over time: clips without a fire, seen by the box's own watch.

A frame in which a detector errs is no alarm yet. Here a clip goes through what a camera goes through on a box: the
motion gate, the detector, and the analyzers that ask for repetition, flicker and time. What they open on a clip in
which nothing burns is a false alarm; the clips' length is the exposure. A short exposure bounds a rate badly, and the
bound says so.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from contract.detections import Detection
from contract.records import Event, ModelRef, Phase
from edge.analyzers.fire import LABELS as BURNING
from edge.analyzers.fire import SLACK
from edge.config import Camera
from edge.vision.detectors import Result
from edge.vision.engine import EngineError
from edge.vision.watch import CameraWatch
from models.workshop.evaluation.figures import Figure
from models.workshop.evaluation.intervals import rate_upper
from models.workshop.evaluation.measure import BURNING as HOUSE
from models.workshop.evaluation.measure import QUIET
from vedette.clips import ClipError, frames

FPS: Final = 5.0
"""Frames a second: what a camera of a box has unless told otherwise."""
HOUSE_FPS: Final = 29.97
"""Frames a second of the burning house, in which its flames are counted."""
_START: Final = 1_800_000_000_000_000
_MODEL: Final = ModelRef(name="measured", version="0.0.0", sha256="0" * 64)

Detect = Callable[[Any], list[Detection]]
Track = Callable[[Sequence[Path], str], Iterable[Path]]


@dataclass(frozen=True)
class Replay:
    """A clip, played. ``looks``: frames that the detector saw; ``fired``: those with a label at its threshold;
    ``alarms``: the events opened, with the second at which each was."""

    path: Path
    seconds: float
    looks: int
    fired: Mapping[str, int]
    alarms: tuple[tuple[float, Event], ...]


def replay(path: Path, detect: Detect, thresholds: Mapping[str, float], fps: float = FPS) -> Replay:
    """Play a clip to a camera's watch.

    Args:
        path: of the clip.
        detect: from a picture (``[h, w, 3]`` uint8 BGR) to detections, down to ``SLACK`` of the thresholds or lower.
        thresholds: the release's, by label.
        fps: frames a second that the camera gives.

    Raises:
        ClipError: see ``vedette.clips.frames``.
    """
    numbers = count(1)
    camera = Camera.model_validate({"url": "usb:0", "fps": fps})
    watch = CameraWatch("clip", camera, [], lambda: f"{next(numbers):032x}", 0.0)
    fired = dict.fromkeys(thresholds, 0)
    alarms: list[tuple[float, Event]] = []
    looks, now = 0, 0.0
    for _, now, image in frames(path, 1 / fps):
        captured = _START + round(now * 1e6)
        if not watch.gate(image, captured, now)[0]:
            continue
        looks += 1
        found = tuple(d for d in detect(image) if d.score >= SLACK * thresholds[d.label])
        for label, least in thresholds.items():
            fired[label] += any(d.label == label and d.score >= least for d in found)
        findings = watch.conclude({"measured": Result(found, thresholds, _MODEL)}, captured, captured, now)
        alarms += [(now, e) for e in findings.events if e.kind in BURNING and e.phase is Phase.OPEN]
    return Replay(path, now + 1 / fps, looks, fired, tuple(alarms))


def on_data(
    name: str,
    data: Path,
    detect: Detect,
    thresholds: Mapping[str, float],
    faults: list[str],
    track: Track = lambda clips, title: clips,
) -> list[Figure]:
    """The figures of the data folder's quiet clips, as far as they are there, and of the burning house.

    What cannot be played is told in ``faults``.
    """
    quiet = [data / "clips" / clip for clip in QUIET if (data / "clips" / clip).is_file()]
    found = figures(name, replays(track(quiet, f"{name} on quiet clips"), detect, thresholds, faults), thresholds)
    house = data / "clips" / HOUSE
    marks = house.with_suffix(".xml")
    if house.is_file() and marks.is_file():
        for one in replays([house], detect, thresholds, faults):
            found += burning(name, one, first_flame(marks, HOUSE_FPS))
    return found


def replays(clips: Iterable[Path], detect: Detect, thresholds: Mapping[str, float], faults: list[str]) -> list[Replay]:
    """Each clip that can be played to its end; the others are told in ``faults``."""
    played = []
    for clip in clips:
        try:
            played.append(replay(clip, detect, thresholds))
        except (ClipError, EngineError) as error:
            text = str(error)
            faults.append(f"{text if str(clip) in text else f'{clip}: {text}'}; not counted")
    return played


def figures(name: str, replays: Sequence[Replay], thresholds: Mapping[str, float]) -> list[Figure]:
    """Alarms, exposure, rate and its upper bound, of all clips together; and each clip as a slice."""
    if not replays:
        return []
    at = ", ".join(f"{label} {value:g}" for label, value in thresholds.items())
    hours = sum(one.seconds for one in replays) / 3600
    alarms = [(one, second, event) for one in replays for second, event in one.alarms]
    about = f"{len(replays)} quiet clips, {hours * 60:.2f} minutes, {FPS:g} frames a second, thresholds {at}"
    table = tuple(
        {"clip": one.path.name, "second": round(second, 1), "kind": event.kind, "score": round(event.score, 4)}
        for one, second, event in alarms
    )
    bound = rate_upper(len(alarms)) / hours
    both = rate_upper(len(alarms), 0.975) / hours
    exact = f"{about}; exact Poisson bound (Garwood), one-sided 95 %; upper end of the two-sided 95 %: {both:.1f}"
    result = [
        Figure(f"{name}.alarms", len(alarms), "alarms", f"{about}; after confirmation over time", "", table),
        Figure(f"{name}.exposure", hours, "h", about),
        Figure(f"{name}.alarms_per_hour", len(alarms) / hours, "1/h", about),
        Figure(f"{name}.alarms_per_hour_upper", bound, "1/h", exact),
    ]
    for one in replays:
        seen = f"clips/{one.path.name}, {one.seconds:.1f} s, {one.looks} frames looked at, thresholds {at}"
        part = f"clip={one.path.name}"
        result.append(Figure(f"{name}.alarms", len(one.alarms), "alarms", seen, part))
        for label, hits in one.fired.items():
            result.append(Figure(f"{name}.false_{label}", hits / max(one.looks, 1), "", seen, part))
    return result


def burning(name: str, one: Replay, first_s: float) -> list[Figure]:
    """How long after the first flame, at second ``first_s`` of a clip, the first alarm comes; and whether one does."""
    after = [second - first_s for second, event in one.alarms if event.kind == "fire" and second >= first_s]
    about = f"clips/{one.path.name}, {one.seconds:.1f} s, first labelled flame at {first_s:.1f} s"
    part = f"clip={one.path.name}"
    result = [Figure(f"{name}.burning.alarm", float(bool(after)), "", f"{about}; 1 where an alarm came", part)]
    return result + [Figure(f"{name}.burning.delay", second, "s", about, part) for second in after[:1]]


def first_flame(marks: Path, fps: float) -> float:
    """Second of the first labelled flame; ``marks`` is OpenCV's kind of file, counted in frames of ``fps`` a second.

    Raises:
        ValueError: nothing is marked in it.
    """
    tree = ElementTree.parse(marks)  # noqa: S314 - a file of the data folder, not of a stranger
    marked = [
        int(frame.findtext("frameNumber", "0"))
        for frame in tree.iterfind("./frames/_")
        if frame.find("./annotations/_") is not None
    ]
    if not marked:
        raise ValueError(f"{marks}: no flame is marked in it")
    return min(marked) / fps
