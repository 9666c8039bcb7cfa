"""What the analyzers of a camera are told, where several detectors look at it."""

from itertools import count

import numpy as np

from contract.detections import Detection
from contract.records import ModelRef
from edge.config import Camera
from edge.vision.density import Density
from edge.vision.detectors import Result
from edge.vision.watch import CameraWatch

PERSON = ModelRef(name="person", version="1.0.0", sha256="a" * 64)
CROWD = ModelRef(name="crowd", version="1.0.0", sha256="b" * 64)
SECOND = 1_000_000


def found(persons: int) -> Result:
    boxes = [Detection("person", 0.9, (i / 10, 0.2, i / 10 + 0.08, 0.8)) for i in range(persons)]
    return Result(tuple(boxes), {"person": 0.5}, PERSON)


def counted(heads: float) -> Result:
    cells = np.array([[heads]], np.float32)
    return Result((), {}, CROWD, Density(cells, cells))


def test_where_heads_are_counted_the_persons_found_do_not_count_as_well() -> None:
    numbers = count()
    camera = Camera(url="rtsp://camera/1", detectors=("person", "crowd"), crowd_limit=20)  # type: ignore[arg-type]
    watch = CameraWatch("square", camera, [], lambda: f"{next(numbers):032x}", 0.0)
    readings, events = [], []
    for second in range(12):
        now = second * SECOND
        # Of a full square the detector finds a few; and now and then the counter fails.
        results = {"person": found(4)} if second in (3, 4) else {"person": found(4), "crowd": counted(60)}
        findings = watch.conclude(results, now, now, float(second))
        readings += findings.readings
        events += findings.events
    assert {reading.value for reading in readings} == {60.0}
    assert [(event.kind, event.model) for event in events] == [("crowd", CROWD)]


def test_without_a_count_persons_are_counted_one_by_one() -> None:
    camera = Camera(url="rtsp://camera/1", detectors=("person",))  # type: ignore[arg-type]
    watch = CameraWatch("square", camera, [], lambda: "0" * 32, 0.0)
    findings = watch.conclude({"person": found(4)}, SECOND, SECOND, 1.0)
    assert [reading.value for reading in findings.readings] == [4.0]
