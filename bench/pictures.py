"""Pictures for benchmarks of detectors: real ones where the data folder is, drawn ones elsewhere."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
T = TypeVar("T")

CLIP: Final = "traffic_camera.mp4"
CAMERA: Final = (1280, 720)
"""Width and height of a camera's frames."""
SETS: Final = ("fire", "person")
_STEP: Final = 10
"""Frames of the clip between two that are taken: neighbours look alike."""
_DRAWN: Final = ((640, 360), (640, 480), (480, 640), (512, 512), (1280, 720))


def folder() -> Path | None:
    """``VEDETTE_DATA``, or ``../shared/data`` beside the repository; None where neither is there."""
    data = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    return data if data.is_dir() else None


def collect(still: int, moving: int) -> tuple[list[Picture], list[Picture], str]:
    """About ``still`` pictures of all sizes, ``moving`` frames of a camera, and in words where they are from."""
    data = folder()
    shares = [(name, _of_set(data, name, -(-still // len(SETS)))) for name in SETS] if data is not None else []
    words = [f"{len(pictures)} of {name}/val" for name, pictures in shares if pictures]
    stills = [picture for _, pictures in shares for picture in pictures]
    if not stills:
        stills = list(_drawn(still))
        words.append(f"{len(stills)} drawn scenes")
    frames = list(camera_frames(moving))
    words.append(f"{len(frames)} frames of {CAMERA[0]}x{CAMERA[1]}, {CLIP if _clip() else 'drawn'}")
    return stills, frames, ", ".join(words)


def camera_frames(count: int) -> Iterator[Picture]:
    """``count`` frames of a real motorway, ``CAMERA`` pixels; of a drawn street where the clip is absent."""
    clip = _clip()
    if clip is None:
        from vedette.drawn.scene import Scene

        scene = Scene("people", 1, *CAMERA)
        yield from (scene.frame(number / 2).image for number in range(count))
        return
    video = cv2.VideoCapture(str(clip))
    try:
        yield from islice(_every(video, _STEP), count)
    finally:
        video.release()


def _every(video: cv2.VideoCapture, step: int) -> Iterator[Picture]:
    number = 0
    while True:
        good, image = video.read()
        if not good:
            return
        if number % step == 0:
            sized = image if image.shape[1::-1] == CAMERA else cv2.resize(image, CAMERA, interpolation=cv2.INTER_AREA)
            yield np.asarray(sized, np.uint8)
        number += 1


def _clip() -> Path | None:
    data = folder()
    return data / "clips" / CLIP if data is not None and (data / "clips" / CLIP).is_file() else None


def _of_set(data: Path, name: str, count: int) -> list[Picture]:
    from edge.vision.picture import read_picture
    from models.workshop.sets.data import read_set

    if not (data / name / "labels.jsonl").is_file():
        return []
    return [read_picture(one.path) for one in evenly(read_set(data / name, "val"), count)]


def evenly(items: Sequence[T], count: int) -> list[T]:
    """``count`` of the items, from all of their order; all where there are fewer."""
    step = max(1.0, len(items) / count) if count else 1.0
    return [items[int(place * step)] for place in range(min(count, len(items)))]


def _drawn(count: int) -> Iterator[Picture]:
    from vedette.drawn.scene import Kind, Scene

    kinds: tuple[Kind, ...] = ("fire", "people", "quiet")
    for number in range(count):
        width, height = _DRAWN[number % len(_DRAWN)]
        scene = Scene(kinds[number % len(kinds)], number + 1, width, height)
        yield scene.frame(16.0).image
