"""The shipped detectors on real clips, through the gate, the tracker and the analyzers: fires are seen, and streets and
rooms are not set on fire."""

from itertools import count
from pathlib import Path

import pytest

from contract.records import Event, Phase, Reading
from edge.config import Camera
from edge.vision.detectors import Detectors
from edge.vision.engine import EngineError, load_engine, read_release
from edge.vision.engines import Engines
from edge.vision.watch import CameraWatch
from edge.vision.zoo import shipped_release

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


def watch_clip(path: Path, name: str, fps: float, limit: int | None = None, **camera: object):
    """Events and readings of a clip, looked at ``fps`` times a second."""
    settings = Camera.model_validate({"url": str(path), "detectors": [name], "fps": fps} | camera)
    numbers = count(1)
    watch = CameraWatch("clip", settings, [], lambda: f"{next(numbers):032x}", 0.0)
    looks = detectors(name)
    events: list[Event] = []
    readings: list[Reading] = []
    for now, image in frames(path, fps, limit):
        captured = START + round(now * 1e6)
        worth, more = watch.gate(image, captured, now)
        events += more
        if not worth:
            continue
        results, faults = looks.look(image, [name])
        assert faults == {}
        found = watch.conclude(results, captured, captured, now)
        events += found.events
        readings += found.readings
    tally = looks.tallies[name]
    print(f"{path.name}: {tally.runs} looks, {tally.latency_ms:.1f} ms each, {len(events)} revisions")
    looks.engines.close()
    return events, readings


def test_the_burning_house_is_seen_within_seconds_and_stays_one_fire():
    events, _ = watch_clip(clip("house6.mp4"), "fire", 5.0)
    fires = [event for event in events if event.kind == "fire"]
    opened = [event for event in fires if event.phase is Phase.OPEN]
    assert opened
    print(f"opened after {(opened[0].time - START) / 1e6:.1f} s, score {opened[0].score:.2f}")
    assert opened[0].time - START < 5_000_000
    assert len(opened) == 1


@pytest.mark.parametrize(
    "name", ["one-by-one-person-detection.mp4", "car-detection.mp4", "traffic_camera.mp4", "daylight-road.avi"]
)
def test_streets_and_rooms_do_not_burn(name):
    events, _ = watch_clip(clip(name), "fire", 3.0, limit=120)
    assert [(event.kind, event.attrs, event.score) for event in events if event.kind in ("fire", "smoke")] == []


def test_one_person_at_a_time_is_counted_as_one_and_an_empty_room_as_none():
    _, readings = watch_clip(clip("one-by-one-person-detection.mp4"), "person", 5.0, limit=230)
    by_second = {round((reading.time - START) / 1e6): reading.value for reading in readings}
    empty = [by_second[second] for second in range(1, 6) if second in by_second]
    somebody = [by_second[second] for second in range(9, 19) if second in by_second]
    assert set(empty) == {0.0}
    assert somebody.count(1.0) >= len(somebody) * 0.7
