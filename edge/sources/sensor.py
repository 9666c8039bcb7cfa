"""What sensors of every kind have in common: samples, faults, and how far a reading can be trusted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from contract.ids import Micros
from contract.records import Quality, Reading
from edge.config import Channel, redact


@dataclass(frozen=True)
class Sample:
    """What one look at a sensor gave: the value of each quantity in its unit, None where it could not be read."""

    sensor: str
    time: Micros
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Failure:
    """A look at a sensor that gave nothing, and why."""

    sensor: str
    time: Micros
    reason: str


class SensorError(Exception):
    """A sensor that cannot be read: which, why, and what to do.

    Args:
        sensor: its name in ``node.yaml``.
        url: as configured.
        what: the cause in words, to be read after the URL.
        way_out: what to do about it.
    """

    def __init__(self, sensor: str, url: str, what: str, way_out: str) -> None:
        self.what = what
        self.way_out = f"{way_out} (sensors.{sensor})"
        super().__init__(f"sensor {sensor!r}: {redact(url)} {what}; {self.way_out}")


def make_reading(sensor: str, channel: Channel, time: Micros, value: float | None, last: float) -> Reading:
    """A reading with its quality.

    Args:
        value: in the channel's unit; None, or not finite, where it could not be read.
        last: the value of the last reading, which stands in where there is none now: readings are finite.
    """
    if value is None or not math.isfinite(value):
        value, quality = last, Quality.BAD
    else:
        quality = judge(channel, value)
    return Reading(time=time, source=sensor, quantity=channel.quantity, value=value, unit=channel.unit, quality=quality)


def judge(channel: Channel, value: float) -> Quality:
    """Good within the channel's range, bad outside of it; but only uncertain beyond the end that its alarm looks at.

    A gas that drives the sensor beyond its range is the worst case, not a faulty one: an uncertain reading can open an
    alarm and cannot end one.
    """
    if channel.range is None or channel.range[0] <= value <= channel.range[1]:
        return Quality.GOOD
    above = value > channel.range[1]
    if channel.alarm is not None and above != channel.alarm.falling:
        return Quality.UNCERTAIN
    return Quality.BAD
