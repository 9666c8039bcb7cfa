"""A thing keeps its number, also past others and through gaps; two things never share one."""

import itertools
import json
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from contract.detections import Detection, iou
from edge.vision.assignment import assign
from edge.vision.tracker import Tracker, ious

from .clips import clip


def person(x: float, y: float, score: float = 0.9, label: str = "person") -> Detection:
    return Detection(label, score, (x, y, x + 0.1, y + 0.3))


def walk(tracker: Tracker, paths, steps: int, step_s: float = 0.2) -> list[list[int | None]]:
    """Numbers of each path's person at each step; a path gives a detection for a time in seconds, or None."""
    numbers = []
    for step in range(steps):
        now = step * step_s
        seen = [path(now) for path in paths]
        tracked = iter(tracker.update([item for item in seen if item is not None], now))
        numbers.append([None if item is None else next(tracked).track for item in seen])
    return numbers


def test_a_walker_gets_one_number_on_the_second_sighting():
    numbers = walk(Tracker(), [lambda t: person(0.1 + 0.1 * t, 0.4)], 20)
    assert numbers[0] == [None]
    assert {n for (n,) in numbers[1:]} == {1}


def test_two_who_cross_keep_their_numbers():
    paths = [lambda t: person(0.1 + 0.12 * t, 0.40), lambda t: person(0.8 - 0.12 * t, 0.42)]
    numbers = walk(Tracker(), paths, 30)
    assert [set(column) for column in zip(*numbers[1:], strict=True)] == [{1}, {2}]


def test_somebody_hidden_for_a_second_is_still_the_same():
    def path(t: float) -> Detection | None:
        return None if 2.0 < t < 3.0 else person(0.1 + 0.1 * t, 0.4)

    numbers = [n for (n,) in walk(Tracker(), [path], 30)]
    assert set(numbers[1:]) - {None} == {1}


def test_somebody_gone_for_long_is_somebody_new():
    def path(t: float) -> Detection | None:
        return None if 2.0 < t < 8.0 else person(0.4, 0.4)

    assert {n for (n,) in walk(Tracker(), [path], 60)} == {None, 1, 2}


def test_a_less_sure_detection_goes_on_with_a_track_but_begins_none():
    assert walk(Tracker(), [lambda t: person(0.4, 0.4, score=0.3)], 5) == [[None]] * 5
    numbers = walk(Tracker(), [lambda t: person(0.4, 0.4, score=0.9 if t < 0.5 else 0.3)], 10)
    assert numbers[-1] == [1]


def test_a_flame_is_never_taken_for_a_person():
    tracker = Tracker()
    tracker.update([person(0.4, 0.4)], 0.0)
    tracker.update([person(0.4, 0.4)], 0.2)
    (flame,) = tracker.update([person(0.4, 0.4, label="fire")], 0.4)
    assert flame.track is None


@given(
    st.lists(
        st.lists(
            st.tuples(st.floats(0, 0.9), st.floats(0, 0.6), st.floats(0.1, 1.0)).map(lambda p: person(*p)),
            max_size=12,
        ),
        max_size=8,
    )
)
def test_no_two_detections_of_a_frame_share_a_number_and_nothing_is_lost(sequence):
    tracker = Tracker()
    for step, detections in enumerate(sequence):
        tracked = tracker.update(detections, step * 0.2)
        assert [(item.label, item.score, item.box) for item in tracked] == [
            (item.label, item.score, item.box) for item in detections
        ]
        numbers = [item.track for item in tracked if item.track is not None]
        assert len(numbers) == len(set(numbers))


@given(
    hnp.arrays(
        float, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.floats(0, 2).map(lambda x: round(x, 3))
    )
)
def test_the_assignment_is_the_cheapest_there_is(cost):
    limit = 0.8
    rows, columns = cost.shape

    def price(pairs) -> float:
        return sum(cost[pair] for pair in pairs) + limit * (rows - len(pairs))

    def every(row: int, taken: frozenset[int]):
        if row == rows:
            yield ()
            return
        for rest in every(row + 1, taken):
            yield rest
        for column in range(columns):
            if column not in taken and cost[row, column] <= limit:
                for rest in every(row + 1, taken | {column}):
                    yield ((row, column), *rest)

    found = assign(cost, limit)
    assert len({row for row, _ in found}) == len({column for _, column in found}) == len(found)
    assert all(cost[pair] <= limit for pair in found)
    assert price(found) == pytest.approx(min(price(pairs) for pairs in every(0, frozenset())))


def test_overlaps_of_all_with_all_are_the_contracts_own():
    random = np.random.default_rng(7)
    corners = random.random((9, 2))
    boxes = np.hstack([corners, corners + random.random((9, 2))])
    table = ious(boxes[:4], boxes[4:])
    for i, j in itertools.product(range(4), range(5)):
        assert table[i, j] == pytest.approx(iou(tuple(boxes[i]), tuple(boxes[4 + j])))


def score_tracks(rows) -> tuple[float, float]:
    """MOTA (Bernardin and Stiefelhagen, 2008) and IDF1 (Ristani et al., 2016) where the detections are the truth
    itself, so that only the identities can be wrong. ``rows``: (frame, true identity, number or None)."""
    last: dict[int, int] = {}
    switches = missed = 0
    together: Counter[tuple[int, int]] = Counter()
    truth: Counter[int] = Counter()
    given_: Counter[int] = Counter()
    for _, identity, number in rows:
        truth[identity] += 1
        if number is None:
            missed += 1
            continue
        given_[number] += 1
        together[identity, number] += 1
        switches += identity in last and last[identity] != number
        last[identity] = number
    names, numbers = list(truth), list(given_)
    table = np.array([[float(together[name, number]) for number in numbers] for name in names])
    right = sum(table[pair] for pair in assign(table.max() - table, float(table.max())))
    total = sum(truth.values())
    return 1 - (switches + missed) / total, 2 * right / (total + sum(given_.values()))


def test_on_a_real_crossing_the_numbers_follow_the_people():
    text = clip("crossing_mot.txt").read_text()
    about = json.loads(clip("truth.json").read_text())["crossing.mp4"]
    boxes = defaultdict(list)
    for line in text.splitlines():
        frame, identity, x, y, width, height = (int(float(field)) for field in line.split(",")[:6])
        box = (x / 640, y / 360, (x + width) / 640, (y + height) / 360)
        boxes[frame].append((identity, Detection("person", 0.9, box)))
    tracker = Tracker()
    rows = []
    for frame in sorted(boxes):
        tracked = tracker.update([item for _, item in boxes[frame]], frame / about["fps"])
        rows += [(frame, identity, item.track) for (identity, _), item in zip(boxes[frame], tracked, strict=True)]
    mota, idf1 = score_tracks(rows)
    print(f"crossing.mp4, true boxes as detections: MOTA {mota:.3f}, IDF1 {idf1:.3f}, {len(rows)} boxes")
    assert mota > 0.95
    # Five of the twelve are hidden for more than two seconds; appearance alone could tell who comes back.
    assert idf1 > 0.83
