"""The sensors of ``node.yaml``: where they are, what they measure, and when it is too much."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from edge.config_parts import Part, SourceId, check_port, check_unique, file_url, scheme_of


class GasAlarm(Part):
    """The two set points of a fixed gas detector. Falling gas (oxygen) is written with ``falling: true``."""

    low: float
    high: float
    falling: bool = False
    hold_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """Seconds above a set point before an event opens."""
    clear_s: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """Seconds back within the limits before the event closes."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if (self.high < self.low) != self.falling and self.high != self.low:
            way_out = "for oxygen write falling: true" if self.high < self.low else "without falling, high is above low"
            raise ValueError(f"high {self.high:g} lies on the wrong side of low {self.low:g}; {way_out}")
        return self


class Channel(Part):
    """One quantity of a sensor."""

    quantity: SourceId
    unit: str = ""
    # Not 'register' in Python: that would hide a method of pydantic's.
    address: Annotated[int, Field(ge=0, le=65535)] | None = Field(default=None, alias="register")
    """Modbus: address, base 0, of the first register."""
    type: Literal["uint16", "int16", "uint32", "int32", "float32"] = "uint16"
    function: Literal["holding", "input"] = "holding"
    word_order: Literal["big", "little"] = "big"
    """Modbus: which of two registers comes first in a 32-bit number; ``big`` is the higher one."""
    scale: float = 1.0
    """What is read times this is the value in ``unit``."""
    column: str | None = None
    """CSV: name of the column."""
    range: tuple[float, float] | None = None
    """What the sensor can measure; outside of it the reading's quality is ``bad``, but ``uncertain`` beyond the end
    that the alarm looks at: a sensor driven beyond its range by gas must not fall silent."""
    alarm: GasAlarm | None = None

    @field_validator("range")
    @classmethod
    def _check_range(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError(f"goes from {value[0]:g} to {value[1]:g}; the lower end comes first")
        return value


class Sensor(Part):
    """A sensor: ``modbus://host:502/unit`` or a CSV file that is played."""

    url: SecretStr
    title: str = ""
    note: str = ""
    every_s: Annotated[float, Field(gt=0, le=3600)] = 1.0
    """Modbus: seconds from one reading to the next. A CSV file is played at its own pace."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    time_column: str = "time"
    """CSV: name of the column with the seconds since its start."""
    loop: bool = False
    """CSV: start again at its end."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        url = value.get_secret_value()
        scheme = scheme_of(url)
        if scheme == "modbus":
            check_port(url)
            unit = urlsplit(url).path.strip("/") or "1"
            if not urlsplit(url).hostname or not unit.isdecimal() or int(unit) > 255:
                raise ValueError("is no Modbus address; write modbus://host:502/unit with a unit of 0 to 255")
            return value
        if scheme != "file":
            raise ValueError(f"{scheme!r} is no kind of sensor; use modbus://host:502/unit or a CSV file's path")
        return file_url(url, info)

    @model_validator(mode="after")
    def _check_channels(self) -> Self:
        check_unique([channel.quantity for channel in self.channels], "channel of quantity")
        key = "register" if self.kind == "modbus" else "column"
        for channel in self.channels:
            if (channel.address if self.kind == "modbus" else channel.column) is None:
                raise ValueError(f"channel {channel.quantity!r} has no {key}, which a {self.kind} sensor needs")
        return self

    @property
    def kind(self) -> Literal["modbus", "csv"]:
        """How it is reached."""
        return "modbus" if scheme_of(self.url.get_secret_value()) == "modbus" else "csv"
