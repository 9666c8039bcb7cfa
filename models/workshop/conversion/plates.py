"""The readers of plates, converted from packages: one for China, one for the world.

Nothing is trained. Both keep 16-bit weights and sums of 32 bits: in INT8 the one for China read next to nothing, and
the other nearly half of the plates of `plate/val` and `plate/test` otherwise than before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
import onnx

from contract.manifest import Reader
from contract.plates import CHARACTERS
from models.workshop.conversion.graph import halved
from models.workshop.conversion.package import Packaged
from models.workshop.conversion.reader import convert, folded
from models.workshop.release.golden import sha256
from models.workshop.session import open_session
from models.workshop.sets.data import Image, read_set

NAME, FILE = "plate", "readers.json"
CONFUSED = 0.05
"""Probability from which a character that no plate carries stays known: a reader that can take a screw, a seal or a
frame for something else takes it less often for a character. Without them a tenth fewer European plates are read."""
NARROWEST = 40
"""Pixels of the training plates' width, at least, that are looked at for such characters."""
CN_CHARACTERS = Packaged(
    "agentclpr",
    "1.1.0",
    "agentclpr/resources/char_dicts/clp_dict.txt",
    "af47672f9f7fdff757a9db744c9015b94fb92f129140c1fc0198e65949da9824",
)


@dataclass(frozen=True)
class Source:
    """A network that a package carries, and how a line is shown to it."""

    name: str
    network: Packaged
    height: int
    shortest: int
    characters: Callable[[bytes, Path | None], Sequence[str]]
    """From the network's bytes and the package to the characters that it knows."""
    licence: str
    notice: str


def _own(_raw: bytes, package: Path | None) -> Sequence[str]:
    return CN_CHARACTERS.read(package).decode().split()


def _stated(raw: bytes, _package: Path | None) -> Sequence[str]:
    stated = {one.key: one.value for one in onnx.load_from_string(raw).metadata_props}
    return [*stated["character"].split("\n"), " "]


SOURCES = (
    Source(
        name="cn",
        network=Packaged(
            "agentclpr",
            "1.1.0",
            "agentclpr/resources/pretrained_models/clp_v2_c_rec.onnx",
            "90f2f875b2be2efbd360f0ea959a9d15e5d79067f53133ba656f5bb475633d0d",
        ),
        height=32,
        shortest=320,
        characters=_own,
        licence="Apache-2.0",
        notice=(
            "The recognition network of AgentCLPR 1.1.0 (https://github.com/AgentMaker/AgentCLPR), Apache "
            "License 2.0; changed: pixels in, 16-bit weights."
        ),
    ),
    Source(
        name="world",
        network=Packaged(
            "rapidocr",
            "3.10.0",
            "rapidocr/models/PP-OCRv6_rec_small.onnx",
            "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
        ),
        height=48,
        shortest=32,
        characters=_stated,
        licence="Apache-2.0",
        notice=(
            "PP-OCRv6 recognition, small, of PaddleOCR (https://github.com/PaddlePaddle/PaddleOCR), "
            "Apache License 2.0, as carried by RapidOCR 3.10.0 (https://github.com/RapidAI/RapidOCR), Apache License "
            "2.0; changed: pixels in, the characters of plates alone, 16-bit weights."
        ),
    ),
)


def make_readers(packages: Sequence[Path], data: Path, folder: Path) -> tuple[Reader, ...]:
    """Write the readers and `readers.json` into a release's folder.

    `packages` are wheels, told apart by their names, or folders into which they were unpacked; a package that is not
    among them must be installed. The training plates of `data` show what is taken for characters that no plate
    carries. Raises what `Packaged.read`, `reader.convert` and `read_set` raise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for source in SOURCES:
        package = next((p for p in packages if p.name.startswith(source.network.package)), None)
        raw = source.network.read(package)
        known = source.characters(raw, package)
        kept = "".join(one for one in known if one.upper() in CHARACTERS)
        if len(known) > len(kept):
            kept += "".join(confused(raw, known, source.height, data))
        path = folder / f"{NAME}.read-{source.name}.onnx"
        onnx.save(halved(convert(raw, known, kept, source.height)), str(path))
        made.append(
            Reader(
                name=source.name,
                file=path.name,
                sha256=sha256(path),
                bytes=path.stat().st_size,
                precision="fp32, weights fp16",
                characters=kept,
                height=source.height,
                shortest=source.shortest,
                licence=source.licence,
                notice=source.notice,
            )
        )
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
    return tuple(made)


def confused(raw: bytes, known: Sequence[str], height: int, data: Path) -> list[str]:
    """The characters outside `CHARACTERS` that the network `raw` sees in training plates, with `CONFUSED` or more."""
    session = open_session(folded(raw).SerializeToString())
    name = session.get_inputs()[0].name
    most = np.zeros(1 + len(known), np.float32)
    for line in lines(data):
        wide = max(8, round(height * line.shape[1] / line.shape[0]))
        pixels = cv2.resize(line, (wide, height)).astype(np.float32) / np.float32(127.5) - np.float32(1)
        steps = session.run(None, {name: np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]})[0][0]
        most = np.maximum(most, steps.max(0))
    return [
        one for n, one in enumerate(known, 1) if most[n] >= CONFUSED and len(one) == 1 and one.upper() not in CHARACTERS
    ]


def lines(data: Path) -> Iterator[Image]:
    """The plates of the training pictures, and the crops of Chinese ones."""
    for picture in read_set(data / "plate", "train"):
        boxes = [truth.box for truth in picture.truths if truth.label == "plate"]
        wide = [box for box in boxes if box[2] - box[0] >= NARROWEST]
        if not wide:
            continue
        image = picture.read()
        for x1, y1, x2, y2 in wide:
            sx, sy = image.shape[1] / picture.width, image.shape[0] / picture.height
            cut = image[max(0, round(y1 * sy)) : round(y2 * sy), max(0, round(x1 * sx)) : round(x2 * sx)]
            if cut.size:
                yield cut
    yield from (picture.read() for picture in read_set(data / "plate", "crop"))


def read_readers(folder: Path) -> tuple[Reader, ...]:
    """The readers that `make_readers` wrote there, none where it did not. Raises `ValueError` for a broken list."""
    path = folder / FILE
    if not path.is_file():
        return ()
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Reader, ...])
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: {error}; make it again with 'vedette models convert {NAME}'") from error
