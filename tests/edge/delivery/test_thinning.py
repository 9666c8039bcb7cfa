"""A summary stands exactly for what it replaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.records import Health, Lane, Quality, Reading, Summary
from edge.delivery.outbox import Outbox
from edge.delivery.thinning import NothingToThinError, merge, thin
from tests.edge.delivery.samples import START, drain, event, reading

MINUTE = 60_000_000
values = st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(0, 10**9), st.sampled_from(Quality)), min_size=1)


def readings(found: list[tuple[float, int, Quality]]) -> list[Reading]:
    return [Reading(time=START + t, source="gas", quantity="co", value=v, quality=q) for v, t, q in found]


@given(values)
def test_it_keeps_the_count_the_bounds_the_mean_and_the_worst_quality(found: list[tuple[float, int, Quality]]) -> None:
    summary = merge(readings(found))
    numbers = [value for value, _, _ in found]
    assert summary.count == len(found)
    assert (summary.min, summary.max) == (min(numbers), max(numbers))
    assert summary.mean == pytest.approx(sum(numbers) / len(numbers), rel=1e-9, abs=1e-3)
    assert (summary.time, summary.until) == (START + min(t for _, t, _ in found), START + max(t for _, t, _ in found))
    order = [Quality.GOOD, Quality.UNCERTAIN, Quality.BAD]
    assert summary.quality == max((quality for _, _, quality in found), key=order.index)


@given(values, values)
def test_summaries_of_summaries_say_the_same(
    first: list[tuple[float, int, Quality]], second: list[tuple[float, int, Quality]]
) -> None:
    at_once = merge(readings(first + second))
    in_steps = merge([merge(readings(first)), merge(readings(second))])
    assert in_steps.mean == pytest.approx(at_once.mean, rel=1e-9, abs=1e-3)
    for field in ("time", "until", "count", "min", "max", "quality"):
        assert getattr(in_steps, field) == getattr(at_once, field)


def thin_to_the_end(outbox: Outbox) -> None:
    try:
        while True:
            outbox.transact(thin)
    except NothingToThinError:
        pass


def test_series_qualities_and_days_are_never_mixed(outbox: Outbox) -> None:
    day = 1440 * MINUTE
    start = START // day * day
    bad = Reading(time=start, source="gas", quantity="co", value=9.0, quality=Quality.BAD)
    outbox.append([bad, *(reading(1.0, source="other", time=start) for _ in range(2))])
    outbox.append([reading(float(i), time=start + i * MINUTE // 2) for i in range(3 * 2880)])
    thin_to_the_end(outbox)
    found = drain(outbox, Lane.LIVE)
    assert found[0] == bad
    summaries = [record for record in found if isinstance(record, Summary)]
    assert [s.count for s in summaries if s.source == "gas"] == [2880] * 3
    assert [s.count for s in summaries if s.source == "other"] == [2]
    assert outbox.counters()["thinned"] == 3 * 2880 + 2


def test_events_are_never_thinned_and_of_health_the_last_is_kept(outbox: Outbox) -> None:
    outbox.append([event("fire", revision) for revision in range(1, 50)])
    outbox.append([Health(time=START + i) for i in range(50)])
    thin_to_the_end(outbox)
    assert len(drain(outbox, Lane.ALARM)) == 49
    assert drain(outbox, Lane.LIVE) == [Health(time=START + 49)]


def test_numbered_readings_stay_as_they_were_sent(outbox: Outbox) -> None:
    outbox.append([reading(i, time=START) for i in range(20)])
    batch = outbox.number(Lane.LIVE, 10)
    thin_to_the_end(outbox)
    assert outbox.unacked(Lane.LIVE) == [batch]
    assert outbox.waiting()[Lane.LIVE] == 11
