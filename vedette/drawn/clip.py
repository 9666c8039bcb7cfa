"""Drawn scenes as video files, and as live frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vedette.drawn.scene import Kind, Scene


def frames(kind: Kind, seconds: float, fps: int = 10, seed: int = 1) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a scene, HxWx3 BGR, one every 1/`fps` s."""
    scene = Scene(kind, seed)
    for n in range(round(seconds * fps)):
        yield scene.frame(n / fps).image


def write_clip(path: Path, kind: Kind, seconds: float = 30.0, fps: int = 10, seed: int = 1) -> Path:
    """Draw a scene into an MP4 file: H.264, a keyframe every second. Returns `path`.

    Raises `ValueError` when `seconds` or `fps` leave no frame, `OSError` when the file cannot be written. The file
    appears whole or not at all.
    """
    if fps < 1 or round(seconds * fps) < 1:
        raise ValueError(f"a clip of {seconds} s at {fps} frames a second has no frame")
    return write_frames(path, frames(kind, seconds, fps, seed), fps)


def write_frames(path: Path, pictures: Iterable[NDArray[np.uint8]], fps: int) -> Path:
    """Write pictures (HxWx3 BGR, all of one size, at least one) as `write_clip` does. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, fps)
        stream.options = {"crf": "23", "preset": "veryfast", "g": str(fps), "keyint_min": str(fps), "bf": "0"}
        for n, image in enumerate(pictures):
            if n == 0:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = n, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    part.replace(path)
    return path
