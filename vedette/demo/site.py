"""The demonstration site: what its node looks at, and the ``node.yaml`` that says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml

SITE: Final = "demo"
NODE: Final = "box-1"
NOTE: Final = "demonstration: recorded or drawn scenes, no real emergency"
DRAWN_NOTE: Final = "drawn by a program, not filmed"
_DRAWN: Final[tuple[tuple[str, Literal["fire", "people"], str], ...]] = (
    ("street", "fire", "Street, a fire breaks out"),
    ("square", "people", "Square, people pass"),
)
_DRAWN_SECONDS: Final = 30.0
"""Quiet first, then a fire that grows; the clip is played in a loop."""


@dataclass(frozen=True)
class DemoCamera:
    """A camera of the demonstration: a clip that is played in a loop, or the visitor's own."""

    name: str
    url: str
    title: str
    note: str
    detectors: tuple[str, ...] = ("fire", "person")
    loop: bool = True


_REAL: Final = (
    ("house6.mp4", "dolls-house", "Burning doll's house"),
    ("one-by-one-person-detection.mp4", "corridor", "Corridor"),
    ("traffic_camera.mp4", "motorway", "Motorway"),
)


def has_clips(data: Path | None) -> bool:
    """Whether the real clips are here."""
    return data is not None and all((data / "clips" / file).exists() for file, _, _ in _REAL)


def cameras(data: Path | None, clips: Path) -> list[DemoCamera]:
    """Real clips where the data folder holds them, else clips drawn into ``clips``, which takes a while the first
    time."""
    if data is not None and has_clips(data):
        return [
            DemoCamera(name, str(data / "clips" / file), title, "a recorded clip, played in a loop")
            for file, name, title in _REAL
        ]
    from vedette.drawn.clip import write_clip

    found = []
    for name, kind, title in _DRAWN:
        path = clips / f"{name}.mp4"
        if not path.exists():
            write_clip(path, kind, seconds=_DRAWN_SECONDS)
        found.append(DemoCamera(name, str(path), title, DRAWN_NOTE))
    return found


def visitors(urls: Sequence[str]) -> list[DemoCamera]:
    """The cameras named with ``--camera``."""
    return [
        DemoCamera(f"camera-{number}", url, f"Camera {number}", "", loop=False)
        for number, url in enumerate(urls, start=1)
    ]


def node_yaml(
    *,
    partition: int,
    broker: str,
    cloud: str,
    password_file: Path,
    storage: Path,
    trust: Path,
    cameras: Sequence[DemoCamera],
    modbus_port: int | None,
    gas_note: str,
) -> str:
    """The demonstration node's ``node.yaml``.

    The CO set points are those a fixed detector is commonly delivered with room for: they are the demonstration's own
    choice (low 35 ppm, high 200 ppm) and follow the exposure limits quoted in ``rules/packs/gas.yaml``.
    """
    sensors: dict[str, Any] = {}
    if modbus_port is not None:
        sensors["boiler-room"] = {
            "url": f"modbus://127.0.0.1:{modbus_port}/1",
            "title": "Boiler room",
            "note": gas_note,
            "every_s": 1.0,
            "channels": [
                {
                    "quantity": "co",
                    "unit": "[ppm]",
                    "register": 0,
                    "range": [0, 1000],
                    "alarm": {"low": 35, "high": 200},
                },
                {"quantity": "o2", "unit": "%", "register": 1, "scale": 0.01, "range": [0, 30]},
            ],
        }
    node = {
        "node": NODE,
        "site": SITE,
        "partition": partition,
        "uplink": {
            "broker": broker,
            "cloud": cloud,
            "username": f"{SITE}/{NODE}",
            "password_file": str(password_file),
            "publish_json": True,
        },
        "storage": {"folder": str(storage)},
        "trust": str(trust),
        "cameras": {camera.name: _camera(camera) for camera in cameras},
        "sensors": sensors,
    }
    return (
        "# yaml-language-server: $schema=node.schema.json\n"
        "# Written by 'vedette up' at every start: changes made here are lost.\n"
        + yaml.safe_dump(node, sort_keys=False, allow_unicode=True)
    )


def _camera(camera: DemoCamera) -> dict[str, Any]:
    return {
        "url": camera.url,
        "title": camera.title,
        "note": camera.note,
        "detectors": list(camera.detectors),
        "loop": camera.loop,
        "crowd_limit": 12,
    }
