"""Which box is which thing, from frame to frame.

Association in two passes after Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box"
(ECCV 2022): sure detections first, then the less sure ones for tracks that are still without. Between frames each box
moves on at its own speed (a Kalman filter for each of centre x, centre y, width and height, after Bewley et al.,
"Simple Online and Realtime Tracking", 2016), in real time: frames may be left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from contract.detections import Detection
from edge.vision.assignment import assign

Boxes = NDArray[np.float64]
"""``[n, 4]``, x1, y1, x2, y2 as fractions of the picture."""

_ACCELERATION: Final = 1.5
"""Heights a second squared: how suddenly people change their pace."""
_MEASURE: Final = 0.05
"""Heights: how exactly a detector's box lies."""


@dataclass(frozen=True)
class TrackerSettings:
    """When two boxes are one thing."""

    sure: float = 0.5
    """Score of a detection that may begin a track; less sure ones only go on with one."""
    first_iou: float = 0.2
    """Least overlap for a sure detection..."""
    second_iou: float = 0.4
    """...and for a less sure one."""
    lost_s: float = 2.0
    """A track that is not seen for so long is over."""
    confirm: int = 2
    """Sightings before a track gets its number."""


@dataclass
class _Track:
    label: str
    motion: "_Motion"
    hits: int
    seen_s: float
    number: int | None = None
    lost: bool = False


class Tracker:
    """The tracks of one camera."""

    def __init__(self, settings: TrackerSettings = TrackerSettings()) -> None:
        self._settings = settings
        self._tracks: list[_Track] = []
        self._numbers = 0
        self._time_s: float | None = None

    def update(self, detections: Sequence[Detection], now_s: float, threshold: float | None = None) -> list[Detection]:
        """Go on to the next frame.

        Args:
            detections: of the frame, also those below the threshold.
            now_s: the frame's time in seconds; never lower than the one before.
            threshold: score from which on a detection is sure; the settings' where left out.

        Returns:
            The same detections in the same order, with ``track`` set where the thing has been seen before.
        """
        step = 0.0 if self._time_s is None else max(0.0, now_s - self._time_s)
        self._time_s = now_s
        for track in self._tracks:
            track.motion.predict(step)
        least = self._settings.sure if threshold is None else threshold
        sure = [i for i, item in enumerate(detections) if item.score >= least]
        unsure = [i for i, item in enumerate(detections) if item.score < least]
        pairs, free = self._match(detections, sure, self._tracks, self._settings.first_iou)
        visible = [track for track in free if not track.lost and track.number is not None]
        more, _ = self._match(detections, unsure, visible, self._settings.second_iou)
        pairs |= more
        for index, track in pairs.items():
            self._see(track, detections[index], now_s)
        for index in sure:
            if index not in pairs:
                pairs[index] = self._begin(detections[index], now_s)
        self._drop({id(track) for track in pairs.values()}, now_s)
        return [
            msgspec.structs.replace(item, track=pairs[index].number) if index in pairs else item
            for index, item in enumerate(detections)
        ]

    def _match(
        self, detections: Sequence[Detection], chosen: Sequence[int], tracks: Sequence[_Track], least: float
    ) -> tuple[dict[int, _Track], list[_Track]]:
        """Pairs (detection's index -> track), and the tracks that stay without."""
        if not chosen or not tracks:
            return {}, list(tracks)
        overlap = ious(
            np.array([track.motion.box() for track in tracks]), np.array([detections[i].box for i in chosen])
        )
        same = np.array([[track.label == detections[i].label for i in chosen] for track in tracks])
        found = assign(np.where(same, 1.0 - overlap, 2.0), 1.0 - least)
        taken = {row for row, _ in found}
        return (
            {chosen[column]: tracks[row] for row, column in found},
            [track for row, track in enumerate(tracks) if row not in taken],
        )

    def _see(self, track: _Track, detection: Detection, now_s: float) -> None:
        track.motion.correct(np.array(detection.box))
        track.hits += 1
        track.seen_s, track.lost = now_s, False
        if track.number is None and track.hits >= self._settings.confirm:
            self._numbers += 1
            track.number = self._numbers

    def _begin(self, detection: Detection, now_s: float) -> _Track:
        track = _Track(detection.label, _Motion(np.array(detection.box)), 0, now_s)
        track.hits = 1
        self._tracks.append(track)
        return track

    def _drop(self, seen: set[int], now_s: float) -> None:
        """Tracks not seen are lost; those lost too long, or that never got a number, are over."""
        kept = []
        for track in self._tracks:
            if id(track) not in seen:
                track.lost = True
                if track.number is None or now_s - track.seen_s > self._settings.lost_s:
                    continue
            kept.append(track)
        self._tracks = kept


class _Motion:
    """Centre, width and height of one box, each with its speed and their common uncertainty."""

    def __init__(self, box: NDArray[np.float64]) -> None:
        self._position = _to_centre(box)
        self._speed = np.zeros(4)
        height = self._height()
        self._pp, self._ps, self._ss = (_MEASURE * height) ** 2, 0.0, (0.5 * height) ** 2

    def predict(self, step_s: float) -> None:
        push = (_ACCELERATION * self._height()) ** 2
        self._position = self._position + self._speed * step_s
        self._position[2:] = np.maximum(self._position[2:], 1e-6)
        self._pp += 2 * step_s * self._ps + step_s**2 * self._ss + push * step_s**4 / 4
        self._ps += step_s * self._ss + push * step_s**3 / 2
        self._ss += push * step_s**2

    def correct(self, box: NDArray[np.float64]) -> None:
        error = _to_centre(box) - self._position
        noise = self._pp + (_MEASURE * self._height()) ** 2
        gain, drift = self._pp / noise, self._ps / noise
        self._position = self._position + gain * error
        self._speed = self._speed + drift * error
        self._ss -= drift * self._ps
        self._ps *= 1 - gain
        self._pp *= 1 - gain

    def box(self) -> NDArray[np.float64]:
        half = self._position[2:] / 2
        return np.concatenate([self._position[:2] - half, self._position[:2] + half])

    def _height(self) -> float:
        return max(float(self._position[3]), 1e-4)


def ious(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Intersection over union of every box of ``a`` with every one of ``b``: ``[len(a), len(b)]``."""
    upper = np.maximum(a[:, None, :2], b[None, :, :2])
    lower = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(lower - upper, 0.0, None).prod(axis=2)
    union = _areas(a)[:, None] + _areas(b)[None, :] - shared
    result: NDArray[np.float64] = np.where(union > 0, shared / np.maximum(union, 1e-12), 0.0)
    return result


def _areas(boxes: Boxes) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def _to_centre(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])
