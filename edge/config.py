"""``node.yaml``: what the installer writes. Every error names the place, the value and the way out."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from contract.ids import PARTITIONS, check_id
from edge.config_errors import explain
from edge.yaml_file import YamlError, read_mapping


def _from_folder(value: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return Path(folder) / value if folder is not None else value


SourceId = Annotated[
    str,
    AfterValidator(lambda value: check_id(value, "id")),
    WithJsonSchema({"type": "string", "pattern": "^[a-z0-9-]{1,32}$"}),
]
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Point = tuple[Share, Share]
HerePath = Annotated[Path, AfterValidator(_from_folder)]
"""A path; a relative one counts from the folder of ``node.yaml``."""


class ConfigError(ValueError):
    """``node.yaml`` cannot be used; the text has one line for each fault, none of them with a password in it."""


class Part(BaseModel):
    """Every part of ``node.yaml``: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True, hide_input_in_errors=True
    )


class Zone(Part):
    """A polygon in the picture, as fractions of its width and height."""

    points: Annotated[tuple[Point, ...], Field(min_length=3)]
    crowd_limit: Annotated[int, Field(gt=0)] | None = None
    """More persons than this in the zone open a crowd event."""


class Camera(Part):
    """A camera: ``rtsp://``, ``http(s)://``, a file, or ``usb:0``."""

    url: SecretStr
    title: str = ""
    note: str = ""
    """What people must know when they see its pictures, such as that they are drawn."""
    detectors: tuple[str, ...] = ("fire", "person")
    """Models of the zoo, by name."""
    fps: Annotated[float, Field(gt=0, le=30)] = 5.0
    """Frames a second that are looked at; the rest are not decoded further than need be."""
    loop: bool = False
    """For a file: start again at its end, in real time."""
    transport: Literal["tcp", "udp"] = "tcp"
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    zones: dict[SourceId, Zone] = {}
    crowd_limit: Annotated[int, Field(gt=0)] | None = None
    """More persons than this anywhere in view open a crowd event."""
    evidence_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    """Seconds before an event that its clip begins with."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        url = value.get_secret_value()
        scheme = _scheme(url)
        if scheme in ("rtsp", "rtsps", "http", "https"):
            _port(url)
            if not urlsplit(url).hostname:
                raise ValueError(f"names no host; write {scheme}://host/path")
            return value
        if scheme == "usb":
            if not url.removeprefix("usb:").isdecimal():
                raise ValueError("is no USB camera; write usb:0 for the first, usb:1 for the second")
            return value
        if scheme != "file":
            raise ValueError(
                f"{scheme!r} is no kind of camera; use rtsp://, rtsps://, http(s)://, usb:N or a file's path"
            )
        return _file(url, info)

    @field_validator("detectors")
    @classmethod
    def _check_detectors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _unique(value, "detector")
        return value

    @property
    def kind(self) -> Literal["rtsp", "http", "usb", "file"]:
        """How it is reached."""
        scheme = _scheme(self.url.get_secret_value())
        if scheme in ("rtsp", "rtsps"):
            return "rtsp"
        if scheme in ("http", "https"):
            return "http"
        return "usb" if scheme == "usb" else "file"


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
        scheme = _scheme(url)
        if scheme == "modbus":
            _port(url)
            unit = urlsplit(url).path.strip("/") or "1"
            if not urlsplit(url).hostname or not unit.isdecimal() or int(unit) > 255:
                raise ValueError("is no Modbus address; write modbus://host:502/unit with a unit of 0 to 255")
            return value
        if scheme != "file":
            raise ValueError(f"{scheme!r} is no kind of sensor; use modbus://host:502/unit or a CSV file's path")
        return _file(url, info)

    @model_validator(mode="after")
    def _check_channels(self) -> Self:
        _unique([channel.quantity for channel in self.channels], "channel of quantity")
        key = "register" if self.kind == "modbus" else "column"
        for channel in self.channels:
            if (channel.address if self.kind == "modbus" else channel.column) is None:
                raise ValueError(f"channel {channel.quantity!r} has no {key}, which a {self.kind} sensor needs")
        return self

    @property
    def kind(self) -> Literal["modbus", "csv"]:
        """How it is reached."""
        return "modbus" if _scheme(self.url.get_secret_value()) == "modbus" else "csv"


class Uplink(Part):
    """The way to the cloud."""

    broker: str
    """``mqtt://host:1883`` or ``mqtts://host:8883``."""
    cloud: str
    """``https://host``, for evidence and releases."""
    username: str = ""
    """The node's, such as ``harbour/gate-box``."""
    password: SecretStr = SecretStr("")
    password_file: HerePath | None = None
    """A file with nothing but the password; better than ``password``."""
    ca_file: HerePath | None = None
    """Certificates to trust instead of the system's."""
    publish_json: bool = False
    """Also publish each event as plain JSON, for Home Assistant and Node-RED."""

    @field_validator("broker", "cloud")
    @classmethod
    def _check_address(cls, value: str, info: ValidationInfo) -> str:
        schemes = ("mqtt", "mqtts") if info.field_name == "broker" else ("http", "https")
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"is no address; write {schemes[1]}://host or {schemes[0]}://host")
        if "@" in parts.netloc:
            raise ValueError("carries a user or password; write them as username and password_file")
        _port(value)
        return value.rstrip("/")

    def secret(self) -> str:
        """The password, from the file where one is named.

        Raises:
            ConfigError: the file cannot be read.
        """
        if self.password_file is None:
            return self.password.get_secret_value()
        try:
            return self.password_file.read_text().strip()
        except OSError as error:
            raise ConfigError(f"uplink.password_file: {self.password_file} cannot be read: {error.strerror}") from error


class Storage(Part):
    """Where the node keeps what has not been delivered yet, and how much of it."""

    folder: HerePath = Path("/var/lib/vedette")
    outbox_bytes: Annotated[int, Field(ge=1_000_000)] = 1_000_000_000
    evidence_bytes: Annotated[int, Field(ge=1_000_000)] = 4_000_000_000


class NodeConfig(Part):
    """``node.yaml``."""

    node: SourceId
    site: SourceId
    partition: Annotated[int, Field(ge=0, lt=PARTITIONS)] = 0
    uplink: Uplink
    storage: Storage = Storage()
    models: HerePath | None = None
    """Folder of the models the box came with; the shipped zoo when left out."""
    trust: HerePath | None = None
    """Folder with the root metadata of the release and assignment repositories; without it the node takes no release
    over the air."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Processor threads a detector may use."""
    cameras: dict[SourceId, Camera] = {}
    sensors: dict[SourceId, Sensor] = {}

    @field_validator("sensors")
    @classmethod
    def _check_names(cls, value: dict[str, Sensor], info: ValidationInfo) -> dict[str, Sensor]:
        both = sorted(set(value) & set(info.data.get("cameras", {})))
        if both:
            raise ValueError(f"{both[0]!r} is also a camera's name; every source needs a name of its own")
        return value


def load_config(path: Path) -> NodeConfig:
    """Read ``node.yaml``; relative paths in it are taken from its folder.

    Raises:
        ConfigError: unreadable, not YAML, an unknown key (with the nearest known one), a wrong value.
    """
    try:
        raw = read_mapping(path)
    except YamlError as error:
        raise ConfigError(str(error)) from None
    try:
        return NodeConfig.model_validate(raw, context={"folder": path.absolute().parent})
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        raise ConfigError("\n".join(explain(path, dict(fault), NodeConfig) for fault in faults)) from None


def redact(url: str) -> str:
    """The URL without user and password, for messages and logs."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rsplit("@", 1)[1]))


def _scheme(url: str) -> str:
    """What stands before the colon; ``file`` for a path, even one with a colon in it."""
    found = _SCHEME.match(url)
    return found.group(1).lower() if found else "file"


def _file(url: str, info: ValidationInfo) -> SecretStr:
    path = Path(url.removeprefix("file://").removeprefix("file:"))
    if not path.name:
        raise ValueError("names no file")
    return SecretStr(str(_from_folder(path, info)))


def _unique(names: Sequence[str], what: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{what} {twice[0]!r} stands there twice")


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        raise ValueError("has a port that is no number between 1 and 65535") from None
