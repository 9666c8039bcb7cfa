"""Our detectors beside ultralytics: what the shipped model costs, what the code around it costs, and whether both see
the same.

Three things are measured for every detector of the zoo, on one thread, in turn with the reference:

- ``int8``: one run of the artefact that this machine gets, suppression of doubles included, beside one of YOLO11n
  (FP32, SiLU, as ultralytics exports it, its suppression left out) with an input of the same sides.
- the FP32 artefact in our engine beside the same network in ultralytics' predictor (see ``bench.twin``), same
  pictures, same sides, thresholds and session options: ``frame`` is the whole call from a picture in memory to
  ``Detection`` or ``Results`` objects, ``overhead`` that less the time within the session. Ours scales pixels and
  suppresses doubles within the graph, theirs in Python; ``outside`` therefore adds these nodes' time to our overhead:
  all that is not the network, on both sides.
- ``agreement``: how many boxes both find, by label and an IoU of 0.9.

A ``_ratio`` is ours in units of the reference, so its reference is 1; ``_ms`` are means over the pictures, each
picture by its median. Without a detector's name stands the worst of all.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from bench import peer
from bench.agreement import Agreement, Seen, agree
from bench.frame import BenchError, Figure, conditions, quartile_distance
from bench.pictures import CAMERA, Picture, collect
from bench.sessions import TimedSession, open_session, timed_sessions
from bench.twin import ReleaseGraph
from bench.zoo import each
from contract.detections import Detection
from contract.manifest import Manifest
from edge.vision.engine import choose_target, load_engine, read_release
from edge.vision.letterbox import Letterbox

FLOAT: Final = "onnx-fp32"
"""The artefact that both sides run where the code around it is compared."""
NAMES: Final = ("fire", "person", "vehicle", "face")
REPEATS: Final = 5
"""How often each picture is looked at."""
STILLS: Final = 120
FRAMES: Final = 30
CONF: Final = 0.25
"""Least score of a box on both sides, ultralytics' own default."""

T = TypeVar("T")


@dataclass
class Cost:
    """Seconds for one picture, look by look."""

    frame: list[float] = field(default_factory=list)
    session: list[float] = field(default_factory=list)

    @property
    def overhead(self) -> float:
        """Median of what a look takes outside the session."""
        return statistics.median(whole - inside for whole, inside in zip(self.frame, self.session, strict=True))

    def add(self, call: Callable[[], T], session: TimedSession) -> T:
        """Make ``call``, which runs ``session``, and keep what it took; returns its result."""
        inside, started = session.spent, time.perf_counter()
        result = call()
        self.frame.append(time.perf_counter() - started)
        self.session.append(session.spent - inside)
        return result


def run(models: Path | None = None, repeats: int = REPEATS, **_: Any) -> list[Figure]:
    """Measure every detector of the zoo.

    Args:
        models: folder of releases; None for the zoo.
        repeats: how often each picture is looked at.

    Returns:
        ``detect.int8_ratio``, ``detect.overhead_ratio``, ``detect.frame_ratio``, ``detect.outside_ratio`` and
        ``detect.agreement``, then the same with the detector's name behind ``detect.``, with milliseconds.

    Raises:
        BenchError: there is no detector, or ultralytics is not installed here.
    """
    if repeats < 1:
        raise BenchError(f"repeats is {repeats}; needed is 1 or more")
    releases = each(models, NAMES, lambda _, folder: [(folder, read_release(folder))])
    peer.load()
    stills, frames, origin = collect(STILLS, FRAMES)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    figures: list[Figure] = []
    left_out: list[str] = []
    try:
        with tempfile.TemporaryDirectory(prefix="vedette-bench-detect-") as scratch:
            for folder, manifest in releases:
                for measure, pictures in ((_measure_int8, frames), (_measure_beside, [*stills, *frames])):
                    try:
                        figures += measure(folder, manifest, pictures, repeats, Path(scratch))
                    except BenchError as error:
                        left_out.append(str(error))
    finally:
        cv2.setNumThreads(threads)
    if not figures:
        raise BenchError("; ".join(left_out))
    about = conditions(
        ["onnxruntime", "opencv-python-headless", "opencv-python", "numpy", *peer.PACKAGES],
        models=", ".join(f"{manifest.name} {manifest.version}" for _, manifest in releases),
        pictures=origin,
        threads=1,
        score=CONF,
        **({"left out": "; ".join(left_out)} if left_out else {}),
    )
    for figure in figures:
        about.update(figure.conditions)
    return [replace(figure, conditions=about) for figure in [*worst(figures), *figures]]


def worst(figures: Sequence[Figure]) -> list[Figure]:
    """For each kind of share, the least favourable detector's figure under ``detect.`` and the kind alone."""
    kinds = ("int8_ratio", "overhead_ratio", "frame_ratio", "outside_ratio", "agreement")
    found: list[Figure] = []
    for kind in kinds:
        same = [figure for figure in figures if figure.name.rsplit(".", 1)[-1] == kind]
        if same:
            pick = min if kind == "agreement" else max
            found.append(replace(pick(same, key=lambda figure: figure.ours), name=f"detect.{kind}"))
    return found


def _measure_int8(
    folder: Path, manifest: Manifest, frames: Sequence[Picture], repeats: int, scratch: Path
) -> list[Figure]:
    target = choose_target(manifest.artefacts)
    if target == FLOAT:
        raise BenchError(f"{manifest.name}: no quantized artefact for this machine, only {sorted(manifest.artefacts)}")
    width, height = manifest.input.fit(*CAMERA)
    reference_file = scratch / f"yolo11n-{width}x{height}.onnx"
    if not reference_file.exists():
        peer.export_yolo11n(scratch, width, height)
    shipped = open_session(folder / manifest.artefacts[target].file)
    reference = open_session(reference_file)
    letterbox = Letterbox(manifest.input)
    ours: list[list[float]] = [[] for _ in frames]
    theirs: list[list[float]] = [[] for _ in frames]
    for turn in range(repeats + 1):
        for place, frame in enumerate(frames):
            canvas, _ = letterbox.put(frame)
            given = {manifest.input.name: canvas.tensor}
            floats = {reference.get_inputs()[0].name: _floats(canvas.tensor)}
            one = _seconds(partial(shipped.run, None, given))
            other = _seconds(partial(reference.run, None, floats))
            if turn:  # the first turn warms up
                ours[place].append(one)
                theirs[place].append(other)
    about = {f"{manifest.name} int8": f"{target} beside YOLO11n FP32, {width}x{height}"}
    return _compare(f"detect.{manifest.name}.int8", _medians(ours), _medians(theirs), repeats, about)


def _measure_beside(
    folder: Path, manifest: Manifest, pictures: Sequence[Picture], repeats: int, scratch: Path
) -> list[Figure]:
    if FLOAT not in manifest.artefacts:
        raise BenchError(f"{manifest.name} has no artefact {FLOAT!r}; it has {sorted(manifest.artefacts)}")
    graph = ReleaseGraph(folder / manifest.artefacts[FLOAT].file)
    ours, theirs = [Cost() for _ in pictures], [Cost() for _ in pictures]
    alike = Agreement()
    with timed_sessions() as made:
        engine = load_engine(_leveled(manifest), folder, threads=1)
        inside = made[-1]
        twins = _Twins(graph, manifest, made, scratch)
        try:
            for picture in pictures:  # warms up, and is compared
                found = engine.detect(picture)
                alike += agree(seen(found, picture), peer.read(twins.of(picture)[0].look(picture)))
            for turn in range(repeats):
                for place, picture in enumerate(pictures):
                    other, session = twins.of(picture)
                    looks: list[Callable[[], object]] = [
                        partial(ours[place].add, partial(engine.detect, picture), inside),
                        partial(theirs[place].add, partial(other.look, picture), session),
                    ]
                    # Who comes second finds the picture in the processor's cache.
                    for look in looks if (turn + place) % 2 == 0 else reversed(looks):
                        look()
            extra = _graph_share(graph, manifest, pictures, twins, repeats)
        finally:
            engine.close()
    name = f"detect.{manifest.name}"
    overheads = [cost.overhead for cost in ours], [cost.overhead for cost in theirs]
    outside = [one + other for one, other in zip(overheads[0], extra, strict=True)]
    frames = [[statistics.median(cost.frame) for cost in costs] for costs in (ours, theirs)]
    about = {f"{manifest.name} beside": f"inputs {', '.join(twins.sides)}; IoU {graph.suppression.iou:g}"}
    return [
        *_compare(f"{name}.overhead", *overheads, repeats, about),
        *_compare(f"{name}.frame", frames[0], frames[1], repeats, about),
        *_compare(f"{name}.outside", outside, overheads[1], repeats, about),
        Figure(f"{name}.agreement", alike.share, None, "share", alike.boxes, 0.0, about),
    ]


class _Twins:
    """A peer for every shape of input, made when it is first needed."""

    def __init__(self, graph: ReleaseGraph, manifest: Manifest, made: list[TimedSession], scratch: Path) -> None:
        self._graph, self._manifest, self._made, self._scratch = graph, manifest, made, scratch
        self._peers: dict[tuple[int, int], tuple[peer.Peer, TimedSession]] = {}

    @property
    def sides(self) -> list[str]:
        return [f"{width}x{height}" for width, height in sorted(self._peers)]

    def of(self, picture: Picture) -> tuple[peer.Peer, TimedSession]:
        """The peer whose input has the sides that ours takes for the picture, and its session."""
        sides = self._manifest.input.fit(picture.shape[1], picture.shape[0])
        if sides not in self._peers:
            file = self._scratch / f"{self._manifest.name}-{sides[0]}x{sides[1]}.onnx"
            file.write_bytes(self._graph.twin(self._manifest.labels, *sides))
            rules = self._graph.suppression
            other = peer.Peer(file, CONF, rules.iou, rules.most)
            self._peers[sides] = other, self._made[-1]
        return self._peers[sides]


def _leveled(manifest: Manifest) -> Manifest:
    """The release with nothing but its FP32 artefact, and with one threshold for all labels, as ultralytics has it."""
    return msgspec.structs.replace(
        manifest,
        thresholds=dict.fromkeys(manifest.labels, CONF),
        artefacts={FLOAT: manifest.artefacts[FLOAT]},
    )


def seen(found: Sequence[Detection], picture: Picture) -> list[Seen]:
    """Detections in pixels of the picture."""
    height, width = picture.shape[:2]
    return [
        Seen(d.label, d.score, (d.box[0] * width, d.box[1] * height, d.box[2] * width, d.box[3] * height))
        for d in found
    ]


def _graph_share(
    graph: ReleaseGraph, manifest: Manifest, pictures: Sequence[Picture], twins: _Twins, repeats: int
) -> list[float]:
    """Seconds a picture for the nodes around the network, as graphs of their own on the picture's own numbers: a little
    more than they take within the artefact."""
    before, after = open_session(graph.before()), open_session(graph.after())
    letterbox = Letterbox(manifest.input)
    shares: list[float] = []
    for picture in pictures:
        canvas, _ = letterbox.put(picture)
        (rows,) = twins.of(picture)[1].run(None, {"images": _floats(canvas.tensor)})
        centre, size, scores = rows[:, :2], rows[:, 2:4], np.ascontiguousarray(rows[:, 4:])
        boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1).transpose(0, 2, 1)
        heads = {"boxes": np.ascontiguousarray(boxes), "scores": scores}
        given = {manifest.input.name: canvas.tensor}
        times = [
            _seconds(partial(before.run, None, given)) + _seconds(partial(after.run, None, heads))
            for _ in range(repeats + 1)
        ]
        shares.append(statistics.median(times[1:]))
    return shares


def _compare(
    name: str, ours: Sequence[float], theirs: Sequence[float], repeats: int, about: dict[str, Any]
) -> list[Figure]:
    """The ratio of the means, and the means, of one value a picture in seconds."""
    if not ours:
        raise BenchError(f"{name}: not a single measurement was made")
    count = len(ours) * repeats
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    mine, reference = statistics.fmean(ours) * 1000, statistics.fmean(theirs) * 1000
    spread = quartile_distance([one * 1000 for one in ours])
    return [
        Figure(f"{name}_ratio", mine / reference, 1.0, "of reference", count, quartile_distance(ratios), about),
        Figure(f"{name}_ms", mine, reference, "ms", count, spread, about),
    ]


def _medians(times: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.median(one) for one in times]


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _floats(tensor: NDArray[Any]) -> NDArray[np.float32]:
    """A tensor of pixels as the reference takes it, 0 to 1."""
    floats: NDArray[np.float32] = tensor.astype(np.float32) / np.float32(255 if tensor.dtype == np.uint8 else 1)
    return floats
