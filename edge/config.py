"""``node.yaml``: what the installer writes. Every error names the place, the value and the way out."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from contract.ids import PARTITIONS, check_id

SourceId = Annotated[str, AfterValidator(lambda value: check_id(value, "id"))]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Point = tuple[Share, Share]


class ConfigError(ValueError):
    """``node.yaml`` cannot be used; the text has one line for each fault, none of them with a password in it."""


class Part(BaseModel):
    """Every part of ``node.yaml``: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    def _check_url(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        scheme = url.split(":", 1)[0] if ":" in url else "file"
        if scheme not in ("rtsp", "rtsps", "http", "https", "file", "usb") and len(scheme) > 1:
            raise ValueError(
                f"{scheme!r} is no kind of camera; use rtsp://, rtsps://, http(s)://, usb:N or a file's path"
            )
        return value


class GasAlarm(Part):
    """The two set points of a fixed gas detector. Falling gas (oxygen) is written with ``falling: true``."""

    low: float
    high: float
    falling: bool = False
    hold_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """Seconds above a set point before an event opens."""
    clear_s: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """Seconds back within the limits before the event closes."""


class Channel(Part):
    """One quantity of a sensor."""

    quantity: SourceId
    unit: str = ""
    register: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Modbus: address, base 0, of the first register."""
    type: Literal["uint16", "int16", "uint32", "int32", "float32"] = "uint16"
    function: Literal["holding", "input"] = "holding"
    scale: float = 1.0
    column: str | None = None
    """CSV: name of the column."""
    range: tuple[float, float] | None = None
    """What the sensor can measure; outside of it the reading's quality is ``bad``."""
    alarm: GasAlarm | None = None


class Sensor(Part):
    """A sensor: ``modbus://host:502/unit`` or a CSV file that is played."""

    url: SecretStr
    title: str = ""
    note: str = ""
    every_s: Annotated[float, Field(gt=0, le=3600)] = 1.0
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    time_column: str = "time"
    """CSV: seconds since its start."""
    loop: bool = False


class Uplink(Part):
    """The way to the cloud."""

    broker: str
    """``mqtt://host:1883`` or ``mqtts://host:8883``."""
    cloud: str
    """``https://host``, for evidence and releases."""
    username: str = ""
    password: SecretStr = SecretStr("")
    password_file: Path | None = None
    ca_file: Path | None = None
    publish_json: bool = False
    """Also publish each event as plain JSON, for Home Assistant and Node-RED."""

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

    folder: Path = Path("/var/lib/vedette")
    outbox_bytes: Annotated[int, Field(ge=1_000_000)] = 1_000_000_000
    evidence_bytes: Annotated[int, Field(ge=1_000_000)] = 4_000_000_000


class NodeConfig(Part):
    """``node.yaml``."""

    node: SourceId
    site: SourceId
    partition: Annotated[int, Field(ge=0, lt=PARTITIONS)] = 0
    uplink: Uplink
    storage: Storage = Storage()
    models: Path | None = None
    """Folder of the models the box came with; the shipped zoo when left out."""
    trust: Path | None = None
    """Folder with the root metadata of the release and assignment repositories; without it the node takes no release
    over the air."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Processor threads a detector may use."""
    cameras: dict[SourceId, Camera] = {}
    sensors: dict[SourceId, Sensor] = {}

    @field_validator("sensors")
    @classmethod
    def _check_names(cls, value: dict[str, Sensor], info: Any) -> dict[str, Sensor]:
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
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; name another with -c") from error
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = (
            f", line {error.problem_mark.line + 1}"
            if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark
            else ""
        )
        problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else "it is not text"
        raise ConfigError(f"{path}{where}: not YAML: {problem}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} holds no settings; it must begin with 'node:' and 'site:'")
    try:
        return NodeConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, item) for item in error.errors())) from None


def redact(url: str) -> str:
    """The URL without user and password, for messages and logs."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rsplit("@", 1)[1]))


def _explain(path: Path, item: Any) -> str:
    place = ".".join(str(step) for step in item["loc"] if step != "[key]")
    if item["type"] == "extra_forbidden":
        known = _known_keys(item["loc"][:-1])
        near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(known)}"
        return f"{path}: {place}: unknown key{hint}"
    if item["type"] == "missing":
        return f"{path}: {place}: is missing; add it"
    value = item.get("input")
    shown = (
        ""
        if any(word in place for word in ("url", "password")) or isinstance(value, dict | list)
        else f" (is {value!r})"
    )
    return f"{path}: {place}: {item['msg'].removeprefix('Value error, ')}{shown}"


def _known_keys(place: tuple[str | int, ...]) -> list[str]:
    """Keys of the part at ``place`` in ``node.yaml``, for the nearest one to a typing error."""
    model: Any = NodeConfig
    for step in place:
        field = model.model_fields.get(str(step)) if isinstance(model, type) and issubclass(model, BaseModel) else None
        model = _inner_model(field.annotation) if field is not None else model
    return sorted(model.model_fields)


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _inner_model(inner)
        if found is not None:
            return found
    return None
