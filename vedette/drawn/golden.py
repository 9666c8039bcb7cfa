"""The golden pictures of the zoo's detectors: drawn, so that they may ship."""

from __future__ import annotations

from models.workshop.sets.data import Image
from vedette.drawn.portraits import Place, portrait
from vedette.drawn.scene import Kind, Scene

SIZE = (416, 234)  # pixels; small enough to travel with every release
# Name of the sample, kind and seed of the scene, where, and when (seconds).
SAMPLES: dict[str, tuple[tuple[str, Kind, int, str, float], ...]] = {
    "fire": (
        ("street", "fire", 21, "street", 17.0),
        ("room", "fire", 22, "room", 16.0),
        ("quiet", "quiet", 23, "street", 5.0),
    ),
    "person": (
        ("street", "people", 21, "street", 4.0),
        ("room", "people", 22, "room", 6.0),
        ("empty", "quiet", 23, "street", 5.0),
    ),
    "vehicle": (
        ("one", "quiet", 22, "street", 5.0),
        ("another", "quiet", 27, "street", 5.0),
        ("none", "quiet", 28, "street", 5.0),
    ),
}
FACES: tuple[tuple[str, int, str, tuple[Place, ...]], ...] = (
    ("two", 24, "room", ((0.28, 0.62, 0.36), (0.70, 0.53, 0.46))),
    ("one", 25, "street", ((0.36, 0.55, 0.44),)),
    ("none", 26, "room", ()),
)


def golden_pictures(name: str) -> list[tuple[str, Image]]:
    """Name and picture (HxWx3 BGR) of each golden sample of a detector.

    Raises `KeyError` naming the detectors that have some.
    """
    if name == "face":
        return [(sample, portrait(seed, places, *SIZE, where=where)[0]) for sample, seed, where, places in FACES]
    if name not in SAMPLES:
        raise KeyError(f"no golden pictures for detector '{name}'; known: {', '.join([*SAMPLES, 'face'])}")
    return [
        (sample, Scene(kind, seed, *SIZE, place=place).frame(t).image) for sample, kind, seed, place, t in SAMPLES[name]
    ]
