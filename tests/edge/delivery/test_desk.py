"""Nothing that was seen is dropped because a disk was full or a crowd was large."""

from pathlib import Path

import pytest

from contract.detections import Detection
from contract.records import Event, Lane, Phase, Quality, Reading, Summary
from edge.delivery import desk
from edge.delivery.desk import RecordDesk
from edge.delivery.outbox import Outbox
from edge.delivery.schema import OutboxError
from tests.edge.delivery.samples import drain
from tests.edge.delivery.test_durability import totals

NOW, SECOND = 1_800_000_000_000_000, 1_000_000


def crowd(persons: int) -> Event:
    detections = tuple(Detection("person", i / persons, (0.1, 0.1, 0.2, 0.3), track=i) for i in range(persons))
    return Event(
        id="1",
        kind="crowd",
        phase=Phase.OPEN,
        revision=1,
        time=NOW,
        started=NOW,
        source="square",
        detections=detections,
        attrs={"persons": persons, "limit": 50},
    )


@pytest.fixture
def outbox(tmp_path: Path):
    outbox = Outbox(tmp_path / "outbox.sqlite", 10_000_000, lambda: NOW)
    yield outbox
    outbox.close()


def test_delivery_is_woken_once_the_records_are_on_the_disk(outbox: Outbox):
    kept: list[int] = []
    records = RecordDesk(outbox, lambda: kept.append(len(outbox.open_events())))
    records.add([crowd(3)])
    assert records.flush()
    assert records.flush()
    assert kept == [1]


def test_a_crowd_of_thousands_is_told_with_the_surest_boxes(outbox: Outbox):
    records = RecordDesk(outbox, lambda: None)
    records.add([crowd(5000)])
    assert records.flush()
    (event,) = outbox.open_events()
    assert event.attrs["persons"] == 5000
    assert event.attrs["boxes_left_out"] == 5000 - len(event.detections)
    assert len(event.detections) > 500
    assert min(item.score for item in event.detections) >= event.attrs["boxes_left_out"] / 5000


def test_while_the_outbox_is_full_readings_give_way_to_summaries_that_stand_for_all(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(desk, "MAX_WAITING", 100)
    append = outbox.append

    def full(records: object) -> None:
        raise OutboxError("outbox is full")

    monkeypatch.setattr(outbox, "append", full)
    records = RecordDesk(outbox, lambda: None)
    records.add([crowd(3)])
    for second in range(50_000):
        quality = Quality.BAD if second == 40_000 else Quality.GOOD
        records.add([Reading(time=NOW + second * SECOND, source="gas", quantity="co", value=second, quality=quality)])
        assert len(records._waiting) <= 100
    assert not records.flush()
    assert records.problem == "outbox is full"
    monkeypatch.setattr(outbox, "append", append)
    assert records.flush()
    assert [event.id for event in outbox.open_events()] == ["1"]
    found = drain(outbox, Lane.LIVE)
    assert totals(found) == (50_000, 49_999, pytest.approx(sum(range(50_000))))
    assert records.thinned == sum(r.count for r in found if isinstance(r, Summary)) > 49_000
    assert [r.time for r in found if r.quality is Quality.BAD] == [NOW + 40_000 * SECOND]


def test_an_event_does_not_wait_for_readings_that_find_no_room(tmp_path: Path):
    outbox = Outbox(tmp_path / "outbox.sqlite", 1, lambda: NOW)
    woken: list[bool] = []
    records = RecordDesk(outbox, lambda: woken.append(True))
    count = Reading(time=NOW, source="square", quantity="person-count", value=3.0)
    records.add([count, crowd(3), count])
    assert not records.flush()
    assert [event.id for event in outbox.open_events()] == ["1"]
    assert (woken, records.thinned) == ([True], 0)
    assert "is full" in records.problem
    # The event is not told a second time.
    assert not records.flush()
    assert outbox.waiting()[Lane.ALARM] == 1
    outbox.close()
