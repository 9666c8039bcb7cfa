"""Two set points; and bad quality never silences an alarm."""

import csv
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.records import Phase, Quality, Reading
from edge.analyzers.gas import GasAnalyzer
from edge.config import GasAlarm

from ..vision.clips import DATA
from .life import at, check_lives, names

CO = GasAlarm(low=60, high=200, clear_s=30)
OXYGEN = GasAlarm(low=19.5, high=18.0, falling=True, clear_s=10)


def reading(seconds: float, value: float, quality: Quality = Quality.GOOD) -> Reading:
    return Reading(time=at(seconds), source="cellar", quantity="co", value=value, unit="[ppm]", quality=quality)


def feed(analyzer: GasAnalyzer, start: float, *values: float, quality: Quality = Quality.GOOD) -> list:
    events = []
    for index, value in enumerate(values):
        item = reading(start + index, value, quality)
        events += analyzer.observe(item, item.time + 1000)
    return events


def co(opened=None, alarm: GasAlarm = CO) -> GasAnalyzer:
    return GasAnalyzer("cellar", "co", "[ppm]", alarm, names(), opened)


def test_the_low_set_point_opens_and_says_all():
    (event,) = feed(co(), 0, 10, 59.9, 60.0)
    assert (event.kind, event.phase, event.source) == ("gas", Phase.OPEN, "cellar")
    assert event.attrs == {
        "quantity": "co",
        "value": 60.0,
        "unit": "[ppm]",
        "level": "low",
        "limit": 60.0,
        "worst": 60.0,
        "quality": "good",
    }
    assert event.started == event.time == at(2)
    assert event.detected == at(2) + 1000


def test_the_high_set_point_is_told_at_once():
    analyzer = co()
    feed(analyzer, 0, 70)
    (change,) = feed(analyzer, 1, 250)
    assert (change.phase, change.attrs["level"], change.attrs["limit"]) == (Phase.CHANGE, "high", 200.0)


def test_a_clock_that_is_set_back_does_not_silence_what_changes():
    analyzer = co()
    feed(analyzer, 3600, 70)
    (change,) = feed(analyzer, 0, 120)
    assert (change.phase, change.attrs["value"]) == (Phase.CHANGE, 120.0)
    assert feed(analyzer, 1, 170) == []  # from here on at its pace


def test_a_leap_beyond_both_opens_at_high():
    (event,) = feed(co(), 0, 500)
    assert event.attrs["level"] == "high"


def test_it_goes_back_step_by_step_each_after_its_time():
    analyzer = co()
    feed(analyzer, 0, 250)
    events = feed(analyzer, 1, *[100] * 40)
    assert [event.attrs["level"] for event in events if event.attrs["level"] == "low"]
    assert all(event.phase is Phase.CHANGE for event in events)
    assert feed(analyzer, 41, *[20] * 30)[-1].phase is not Phase.CLOSE
    closed = feed(analyzer, 71, *[20] * 2)[-1]
    assert (closed.phase, closed.attrs["value"]) == (Phase.CLOSE, 20)


def test_hold_keeps_a_spike_from_opening():
    analyzer = co(alarm=GasAlarm(low=60, high=200, hold_s=5))
    assert feed(analyzer, 0, 70, 70, 70, 10, 70, 70, 70, 70, 70) == []
    (event,) = feed(analyzer, 9, 70)
    assert event.started == at(4)


def test_falling_gas_alarms_below():
    analyzer = co(alarm=OXYGEN)
    assert feed(analyzer, 0, 20.9, 19.6) == []
    (low,) = feed(analyzer, 2, 19.5)
    (high,) = feed(analyzer, 3, 17.0)
    assert (low.attrs["level"], high.attrs["level"]) == ("low", "high")
    assert high.attrs["worst"] == 17.0
    assert feed(analyzer, 4, *[20.9] * 12)[-1].phase is Phase.CLOSE


def test_a_failing_sensor_leaves_the_alarm_open_and_says_so_once():
    analyzer = co()
    feed(analyzer, 0, 250)
    (change,) = feed(analyzer, 1, *[0.0] * 500, quality=Quality.BAD)
    assert change.attrs | {"quality": "good"} == {**change.attrs, "quality": "good"}
    assert (change.attrs["quality"], change.attrs["value"]) == ("bad", 250)
    assert analyzer.event is not None


def test_a_failing_sensor_opens_nothing():
    assert feed(co(), 0, *[65535.0] * 100, quality=Quality.BAD) == []


def test_an_uncertain_reading_can_alarm_and_cannot_end():
    analyzer = co()
    (event,) = feed(analyzer, 0, 250, quality=Quality.UNCERTAIN)
    assert event.attrs["quality"] == "uncertain"
    assert all(e.phase is Phase.CHANGE for e in feed(analyzer, 1, *[0.0] * 500, quality=Quality.UNCERTAIN))


def test_after_a_restart_the_same_event_goes_on():
    (opened,) = feed(co(), 0, 250)
    again = co(opened)
    assert feed(again, 1, 250) == []
    closed = feed(again, 2, *[0.0] * 40)[-1]
    assert (closed.id, closed.phase) == (opened.id, Phase.CLOSE)


step = st.tuples(st.floats(0.0, 60.0), st.floats(0, 400), st.sampled_from(list(Quality)))


@given(st.lists(step, max_size=60))
def test_whatever_is_read_every_event_has_a_proper_life_and_only_good_readings_close_it(steps):
    analyzer, now, events = co(), 0.0, []
    for gap, value, quality in steps:
        now += gap
        fresh = analyzer.observe(reading(now, value, quality), at(now))
        if fresh and fresh[-1].phase is Phase.CLOSE:
            assert quality is Quality.GOOD
            assert value < 60
        events += fresh
        if quality is Quality.GOOD and value >= 60:
            assert analyzer.event is not None
    check_lives(events)


@given(st.lists(step, max_size=30), st.lists(st.tuples(st.integers(0, 30), st.floats(0, 400)), max_size=20))
def test_bad_readings_in_between_never_open_and_never_hasten_the_end(steps, bad):
    def life(with_bad: bool) -> tuple[list[int], list[int]]:
        analyzer, now, opened, closed = co(), 0.0, [], []
        for index, (gap, value, quality) in enumerate(steps):
            now += gap
            items = [reading(now, value, quality)]
            items += [reading(now, junk, Quality.BAD) for place, junk in bad if with_bad and place == index]
            for item in items:
                for event in analyzer.observe(item, item.time):
                    opened += [event.time] if event.phase is Phase.OPEN else []
                    closed += [event.time] if event.phase is Phase.CLOSE else []
        return opened, closed

    good_opened, good_closed = life(False)
    opened, closed = life(True)
    assert set(opened) <= set(good_opened)
    assert all(late >= soon for soon, late in zip(good_closed, closed, strict=False))


def test_the_co_of_a_real_fire_goes_through_low_to_high():
    folder = DATA / "sensors" / "nist_fires"
    files = sorted(folder.glob("ISO*.csv"))
    if not files:
        pytest.skip(
            f"{folder} is absent; set VEDETTE_DATA to the folder of test data ({os.environ.get('VEDETTE_DATA')})"
        )
    tried = 0
    for file in files:
        with file.open(newline="", encoding="utf-8-sig") as text:
            rows = list(csv.DictReader(text))
        name = next((key for key in rows[0] if key and key.upper().startswith("CO") and "2" not in key), None)
        if name is None:
            continue
        values = [float(row[name]) * 1e6 for row in rows if _number(row[name])]
        if max(values) < 400 or values[0] > 20:
            continue
        analyzer, events = co(), []
        for index, value in enumerate(values):
            item = reading(index * 5.0, value)
            events += analyzer.observe(item, item.time)
        levels = [event.attrs["level"] for life in check_lives(events) for event in life]
        assert "high" in levels
        tried += 1
    assert tried >= 1


def _number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True
