"""Releases of a tiny detector that really looks, with a golden picture drawn here."""

import hashlib
import math
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import onnx

from contract.detections import Detection
from contract.manifest import Golden, Manifest, encode_manifest
from tests.edge.vision.orange import manifest_of, orange_model

SIZE = 64
SPOT = Detection("fire", 1 / (1 + math.exp(-((255 + 0.5 * 140) / 40 - 5))), (0.25, 0.25, 0.5, 0.75))
"""What a picture with an orange spot must show: the score follows from the model's weights."""


def picture(orange: bool = True) -> np.ndarray:
    """``[64, 64, 3]`` BGR: grey, with an orange spot where ``SPOT`` lies."""
    image = np.full((SIZE, SIZE, 3), 90, np.uint8)
    if orange:
        image[16:48, 16:32] = (0, 140, 255)
    return image


def write_release(
    folder: Path, version: str = "1.0.0", name: str = "fire", expected: tuple[Detection, ...] = (SPOT,), salt: str = ""
) -> Manifest:
    """A release's folder: model, manifest, one golden sample with the spot, one without. ``salt`` changes the bytes."""
    (folder / "golden").mkdir(parents=True, exist_ok=True)
    model = orange_model(SIZE)
    onnx.helper.set_model_props(model, {"version": version, "salt": salt})
    raw = model.SerializeToString()
    (folder / "orange.onnx").write_bytes(raw)
    golden = []
    for file, orange, seen in (("golden/spot.png", True, expected), ("golden/none.png", False, ())):
        png = cv2.imencode(".png", picture(orange))[1].tobytes()
        (folder / file).write_bytes(png)
        golden.append(Golden(file=file, sha256=hashlib.sha256(png).hexdigest(), expected=seen))
    changes: dict[str, Any] = {"name": name, "golden": tuple(golden)}
    manifest = manifest_of(raw, SIZE, version, **changes)
    (folder / "manifest.json").write_bytes(encode_manifest(manifest))
    return manifest


def rewrite_manifest(folder: Path, **changes: Any) -> Manifest:
    """Change fields of a release's manifest."""
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    changed = msgspec.structs.replace(manifest, **changes)
    (folder / "manifest.json").write_bytes(encode_manifest(changed))
    return changed
