"""One sensor: readings with their quality, alarms, blindness."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.records import Event, Phase, Quality, Reading, Record
from contract.wire import decode_record, encode_record
from edge.config import Sensor
from edge.sources.sensor import Failure, Sample, judge
from edge.sources.sensor_watch import SensorWatch

SECOND = 1_000_000
START = 1_700_000_000 * SECOND

GAS = Sensor.model_validate(
    {
        "url": "modbus://127.0.0.1/1",
        "channels": [
            {
                "quantity": "co",
                "unit": "[ppm]",
                "register": 0,
                "range": [0, 500],
                "alarm": {"low": 30, "high": 60, "clear_s": 5},
            },
            {
                "quantity": "o2",
                "unit": "%",
                "register": 1,
                "range": [0, 25],
                "alarm": {"low": 19.5, "high": 17, "falling": True},
            },
            {"quantity": "temperature", "register": 2, "range": [-40, 80]},
        ],
    }
)


class Life:
    """A sensor that is looked at once a second."""

    def __init__(self, opened: list[Event] | None = None) -> None:
        numbers = itertools.count(1)
        self.watch = SensorWatch("gas", GAS, opened or [], lambda: f"event-{next(numbers)}", 0.0, 1.0)
        self.second = 0
        self.records: list[Record] = []

    def pass_(self, **values: float | None) -> list[Event]:
        self.second += 1
        sample = Sample("gas", START + self.second * SECOND, {"co": 5.0, "o2": 20.9, "temperature": 20.0} | values)
        found = self.watch.take(sample, float(self.second))
        return self._keep(found)

    def fail(self) -> list[Event]:
        self.second += 1
        return self._keep(self.watch.fail(Failure("gas", START + self.second * SECOND, "it refused")))

    def _keep(self, found: list[Record]) -> list[Event]:
        checked = self.watch.check(float(self.second), START + self.second * SECOND)
        self.records += [*found, *checked]
        return [record for record in (*found, *checked) if isinstance(record, Event)]

    def readings(self, quantity: str) -> list[Reading]:
        return [r for r in self.records if isinstance(r, Reading) and r.quantity == quantity]


def test_a_sample_gives_a_reading_for_each_quantity() -> None:
    life = Life()
    assert life.pass_(co=12.0) == []
    assert [(r.quantity, r.value, r.unit, r.quality) for r in life.records if isinstance(r, Reading)] == [
        ("co", 12.0, "[ppm]", Quality.GOOD),
        ("o2", 20.9, "%", Quality.GOOD),
        ("temperature", 20.0, "", Quality.GOOD),
    ]
    assert life.watch.health(1.0).state == "ok"


def test_gas_above_its_limit_raises_an_event_before_its_reading() -> None:
    life = Life()
    life.pass_()
    life.records.clear()
    (event,) = life.pass_(co=45.0)
    assert (event.kind, event.phase, event.attrs["level"]) == ("gas", Phase.OPEN, "low")
    assert life.records[0] is event
    assert [e.phase for _ in range(10) for e in life.pass_(co=3.0)] == [Phase.CLOSE]


def test_two_gases_raise_an_event_each() -> None:
    life = Life()
    events = life.pass_(co=100.0, o2=16.0)
    assert {event.attrs["quantity"] for event in events} == {"co", "o2"}


def test_a_value_that_cannot_be_read_is_bad_and_the_last_one_stands_in() -> None:
    life = Life()
    life.pass_(co=12.0)
    life.pass_(co=None)
    life.pass_(co=math.nan)
    assert [(r.value, r.quality) for r in life.readings("co")] == [
        (12.0, Quality.GOOD),
        (12.0, Quality.BAD),
        (12.0, Quality.BAD),
    ]
    health = life.watch.health(3.0)
    assert (health.state, health.reason) == ("degraded", "no good value of co")


def test_bad_quality_never_silences_an_alarm() -> None:
    life = Life()
    life.pass_(co=100.0)
    for _ in range(60):
        assert all(event.phase is not Phase.CLOSE for event in life.pass_(co=None))
    assert [event.kind for event in life.watch.open_events()] == ["gas"]


def test_a_sensor_driven_beyond_its_range_by_gas_still_raises_the_alarm() -> None:
    life = Life()
    (event,) = life.pass_(co=900.0)
    assert (event.attrs["level"], event.attrs["quality"]) == ("high", "uncertain")


@pytest.mark.parametrize(
    ("quantity", "value", "quality"),
    [
        ("co", 500.0, Quality.GOOD),
        ("co", 501.0, Quality.UNCERTAIN),
        ("co", -1.0, Quality.BAD),
        ("o2", -0.1, Quality.UNCERTAIN),
        ("o2", 30.0, Quality.BAD),
        ("temperature", 100.0, Quality.BAD),
    ],
)
def test_outside_of_its_range_a_value_is_bad_unless_the_alarm_looks_there(
    quantity: str, value: float, quality: Quality
) -> None:
    channel = next(channel for channel in GAS.channels if channel.quantity == quantity)
    assert judge(channel, value) is quality


def test_a_sensor_that_cannot_be_read_is_down_then_blind_and_comes_back() -> None:
    life = Life()
    life.pass_()
    events = [event for _ in range(40) for event in life.fail()]
    assert [(e.kind, e.phase, e.attrs["reason"]) for e in events] == [("blind", Phase.OPEN, "it refused")]
    assert len(life.readings("co")) == 2, "one bad reading, not one a second"
    assert life.readings("co")[-1].quality is Quality.BAD
    assert life.watch.health(41.0).state == "down"
    events = [event for _ in range(20) for event in life.pass_()]
    assert [(e.kind, e.phase) for e in events] == [("blind", Phase.CLOSE)]
    assert life.watch.health(61.0).state == "ok"


def test_a_sensor_that_gives_only_bad_values_is_blind_too() -> None:
    life = Life()
    events = [event for _ in range(40) for event in life.pass_(co=None, o2=None, temperature=None)]
    assert [(e.kind, e.phase) for e in events] == [("blind", Phase.OPEN)]


def test_after_a_restart_an_open_event_goes_on() -> None:
    before = Life()
    (opened,) = before.pass_(co=100.0)
    after = Life([opened])
    events = [event for _ in range(10) for event in after.pass_(co=3.0)]
    assert [(e.id, e.phase) for e in events] == [(opened.id, Phase.CLOSE)]
    assert events[0].revision > opened.revision


@given(
    st.lists(
        st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
        min_size=1,
        max_size=60,
    )
)
def test_whatever_a_sensor_says_the_records_can_travel(values: list[float | None]) -> None:
    life = Life()
    for value in values:
        life.pass_(co=value)
    for record in life.records:
        assert decode_record(encode_record(record)) == record
