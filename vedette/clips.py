"""Frames of a clip, at a steady pace in the clip's own time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

SUFFIXES: Final = (".avi", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm")
_NO_CLIPS: Final = ("tty", "image2", "hls", "dash", "concat")
"""What FFmpeg would also play: texts, single pictures (cut ones too), and lists that name other files."""
_WHOLE: Final = 0.9
"""Share of a clip's length that must be there, give or take a second."""


class ClipError(RuntimeError):
    """A clip that cannot be played, or not to its end; the text names the file."""


def frames(path: Path, every_s: float) -> Iterator[tuple[int, float, Any]]:
    """Number, time in seconds and picture (``[h, w, 3]`` uint8 BGR) of a frame every ``every_s`` seconds.

    Raises:
        ClipError: no such file, no clip, no frame in it, or it breaks off; frames before that were given.
    """
    import av

    if not path.is_file():
        raise ClipError(f"{path}: no such file")
    try:
        with av.open(str(path)) as container:
            if container.format.name in _NO_CLIPS or container.format.name.endswith("_pipe"):
                raise ClipError(f"{path}: not a clip ({container.format.long_name})")
            if not container.streams.video:
                raise ClipError(f"{path}: has no pictures in it")
            stream = container.streams.video[0]
            pace = float(stream.average_rate or 25)
            due, last, number = 0.0, 0.0, -1
            for number, frame in enumerate(container.decode(stream)):
                last = number / pace if frame.time is None else frame.time
                if last >= due - 1e-6:
                    due += every_s * (1 + max(0, int((last - due) / every_s)))
                    yield number, last, frame.to_ndarray(format="bgr24")
            # A cut AVI has its true number of frames in its header, and a length that was guessed from its size.
            stated = container.duration / av.time_base if container.duration else 0.0
            length = max(stated, stream.frames / pace)
    except av.FFmpegError as error:
        raise ClipError(f"{path}: not a clip, or broken ({error.strerror})") from error
    if number < 0:
        raise ClipError(f"{path}: has no frame that can be decoded")
    if last < length * _WHOLE - 1:
        raise ClipError(f"{path}: breaks off after {last:.1f} s of {length:.1f} s")


def clips_in(paths: list[Path]) -> list[Path]:
    """Clips, and those of folders, by name. One with flames marked in an ``.xml`` beside it is no quiet clip.

    Raises:
        ClipError: there is no such path, or no clip in a folder.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(f for f in path.iterdir() if f.suffix.lower() in SUFFIXES)
            quiet = [f for f in inside if not f.with_suffix(".xml").is_file()]
            if not quiet:
                raise ClipError(f"{path}: no clip in it; known are {', '.join(SUFFIXES)}")
            found += quiet
        elif path.is_file():
            found.append(path)
        else:
            raise ClipError(f"{path}: no such file")
    return found
