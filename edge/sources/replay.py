"""Sensors out of a CSV file: a measured series, played at the pace it was measured."""

import csv
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.config import Sensor
from edge.sources.sensor import SensorError


@dataclass(frozen=True)
class Row:
    """One line: seconds since the first one, and the value of each quantity in its unit, None where there is none."""

    at_s: float
    values: dict[str, float | None]


def load_rows(name: str, sensor: Sensor) -> list[Row]:
    """The rows of a CSV sensor in order of time; lines without a time are left out.

    Raises:
        SensorError: no such file, no such column, no line with a time.
    """
    url = sensor.url.get_secret_value()
    wanted = [sensor.time_column, *(channel.column or "" for channel in sensor.channels)]
    try:
        with Path(url).open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.DictReader(file)
            known = list(reader.fieldnames or [])
            absent = [column for column in wanted if column not in known]
            if absent:
                has = ", ".join(known[:12])
                raise SensorError(name, url, f"has no column {absent[0]!r}", f"it has: {has or 'none at all'}")
            rows = [row for line in reader if (row := _row(sensor, line)) is not None]
    except OSError as error:
        raise SensorError(name, url, f"cannot be read: {error.strerror}", "check the path") from None
    except csv.Error as error:
        raise SensorError(name, url, f"is no CSV file: {error}", "give a text file with a line of names") from None
    if not rows:
        raise SensorError(name, url, f"has no line with a number in {sensor.time_column!r}", "check time_column")
    rows.sort(key=lambda row: row.at_s)
    first = rows[0].at_s
    return [Row(row.at_s - first, row.values) for row in rows]


def step_s(rows: list[Row]) -> float:
    """The usual time from one row to the next, in seconds."""
    steps = sorted(after.at_s - before.at_s for before, after in itertools.pairwise(rows))
    return steps[len(steps) // 2] if steps else 1.0


def play(rows: list[Row], loop: bool) -> Iterator[Row]:
    """The rows with the second at which each is due; round and round where ``loop``."""
    start = 0.0
    while True:
        for row in rows:
            yield Row(start + row.at_s, row.values)
        if not loop:
            return
        start += rows[-1].at_s + max(step_s(rows), 0.001)


def _row(sensor: Sensor, line: dict[str, str]) -> Row | None:
    at = _number(line.get(sensor.time_column))
    if at is None:
        return None
    values = {}
    for channel in sensor.channels:
        value = _number(line.get(channel.column or ""))
        values[channel.quantity] = None if value is None else value * channel.scale
    return Row(at, values)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
