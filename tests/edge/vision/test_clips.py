"""The shipped detectors on real clips, through the gate, the tracker and the analyzers: fires are seen, and streets and
rooms are not set on fire."""

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.records import Event, Phase, Reading
from edge.config import Camera
from edge.vision.detectors import Detectors
from edge.vision.engine import EngineError, load_engine, read_release
from edge.vision.engines import Engines
from edge.vision.watch import CameraWatch
from edge.vision.zoo import shipped_release
from vedette.drawn.clip import frames as drawn_frames
from vedette.drawn.scene import Kind

from .clips import clip, frames

START = 1_800_000_000_000_000


def detectors(name: str) -> Detectors:
    """The shipped detector; skips the test where it is not installed."""
    try:
        folder = shipped_release(None, name)
    except EngineError as error:
        pytest.skip(str(error))
    engines = Engines()
    engine = load_engine(read_release(folder), folder, threads=1)
    engines.swap(name, engine, engine.model.version)
    engines.settle()
    return Detectors(engines)


def watch_clip(path: Path, name: str, fps: float, limit: int | None = None):
    """Events and readings of a clip, looked at ``fps`` times a second."""
    return watch(frames(path, fps, limit), name, path.name)


def watch(pictures: Iterable[tuple[float, NDArray[np.uint8]]], name: str, title: str):
    """Events and readings of pictures with their times in seconds."""
    settings = Camera.model_validate({"url": "usb:0", "detectors": [name]})
    numbers = count(1)
    camera = CameraWatch("clip", settings, [], lambda: f"{next(numbers):032x}", 0.0)
    looks = detectors(name)
    events: list[Event] = []
    readings: list[Reading] = []
    for now, image in pictures:
        captured = START + round(now * 1e6)
        worth, more = camera.gate(image, captured, now)
        events += more
        if not worth:
            continue
        results, faults = looks.look(image, [name])
        assert faults == {}
        found = camera.conclude(results, captured, captured, now)
        events += found.events
        readings += found.readings
    tally = looks.tallies[name]
    print(f"{title}: {tally.runs} looks, {tally.latency_ms:.1f} ms each, {len(events)} revisions")
    looks.engines.close()
    return events, readings


def test_the_burning_house_is_seen_and_stays_one_fire():
    events, _ = watch_clip(clip("house6.mp4"), "fire", 5.0)
    fires = [event for event in events if event.kind == "fire"]
    opened = [event for event in fires if event.phase is Phase.OPEN]
    assert opened
    print(f"opened after {(opened[0].time - START) / 1e6:.1f} s, score {opened[0].score:.2f}")
    assert len(opened) == 1


def drawn(kind: Kind, seconds: float) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """A scene of our own renderer, as the demonstration plays it where there are no clips."""
    return ((number / 5, image) for number, image in enumerate(drawn_frames(kind, seconds, fps=5)))


def test_a_drawn_fire_is_seen_while_it_is_small_and_grows():
    events, _ = watch(drawn("fire", 18), "fire", "drawn fire")
    opened, *changes = [event for event in events if event.kind == "fire"]
    assert opened.phase is Phase.OPEN
    assert opened.attrs["area_share"] < 0.02
    assert changes[-1].attrs["growth"] > 2.0


def test_a_drawn_street_does_not_burn():
    events, _ = watch(drawn("quiet", 12), "fire", "drawn street")
    assert events == []


QUIET = ("one-by-one-person-detection.mp4", "car-detection.mp4", "traffic_camera.mp4", "daylight-road.avi")


@pytest.mark.parametrize("name", QUIET)
def test_streets_and_rooms_do_not_burn(name):
    events, _ = watch_clip(clip(name), "fire", 3.0, limit=120)
    assert [event for event in events if event.kind == "fire"] == []
    assert [event for event in events if event.kind == "smoke"] == []


def test_one_person_at_a_time_is_counted_as_one_and_an_empty_room_as_none():
    _, readings = watch_clip(clip("one-by-one-person-detection.mp4"), "person", 5.0, limit=230)
    by_second = {round((reading.time - START) / 1e6): reading.value for reading in readings}
    empty = [by_second[second] for second in range(1, 6) if second in by_second]
    somebody = [by_second[second] for second in range(9, 19) if second in by_second]
    assert set(empty) == {0.0}
    assert somebody.count(1.0) >= len(somebody) * 0.7
