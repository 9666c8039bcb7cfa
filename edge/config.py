"""``node.yaml``: what the installer writes. Every error names the place, the value and the way out."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator

from contract.ids import PARTITIONS
from edge.config_errors import explain
from edge.config_parts import (
    ConfigError,
    HerePath,
    Part,
    Point,
    SourceId,
    check_port,
    check_unique,
    file_url,
    redact,
    scheme_of,
)
from edge.config_sensors import Channel, GasAlarm, Sensor
from edge.interfaces import check_interface
from edge.yaml_file import YamlError, read_mapping

__all__ = [
    "Camera",
    "Channel",
    "ConfigError",
    "GasAlarm",
    "NodeConfig",
    "Part",
    "Point",
    "Sensor",
    "SourceId",
    "Storage",
    "Uplink",
    "Zone",
    "load_config",
    "redact",
]


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
    zones: dict[SourceId, Zone] = Field(default_factory=dict)
    crowd_limit: Annotated[int, Field(gt=0)] | None = None
    """More persons than this anywhere in view open a crowd event."""
    evidence_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    """Seconds before an event that its clip begins with."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        url = value.get_secret_value()
        scheme = scheme_of(url)
        if scheme in ("rtsp", "rtsps", "http", "https"):
            check_port(url)
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
        return file_url(url, info)

    @field_validator("detectors")
    @classmethod
    def _check_detectors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_unique(value, "detector")
        return value

    @property
    def kind(self) -> Literal["rtsp", "http", "usb", "file"]:
        """How it is reached."""
        scheme = scheme_of(self.url.get_secret_value())
        if scheme in ("rtsp", "rtsps"):
            return "rtsp"
        if scheme in ("http", "https"):
            return "http"
        return "usb" if scheme == "usb" else "file"


class Uplink(Part):
    """The way to the cloud."""

    broker: str
    """``mqtt://host:1883`` or ``mqtts://host:8883``."""
    more_brokers: tuple[str, ...] = ()
    """Other addresses of the same cloud, tried in turn where one cannot be reached."""
    interfaces: tuple[str, ...] = ()
    """Ways out of the box, tried in turn: network devices (``eth0``, ``wwan0``) or addresses of the box. The system's
    choice when left out."""
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
        check_port(value)
        return value.rstrip("/")

    @field_validator("more_brokers")
    @classmethod
    def _check_brokers(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        first = str(info.data.get("broker", ""))
        for one in value:
            parts = urlsplit(one)
            if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or "@" in parts.netloc:
                raise ValueError(f"{one!r} is no address; write mqtts://host or mqtt://host")
            if first and parts.scheme != urlsplit(first).scheme:
                raise ValueError(f"{one!r} must be {urlsplit(first).scheme}:// as uplink.broker is")
            check_port(one)
        value = tuple(one.rstrip("/") for one in value)
        check_unique((first, *value), "broker")
        return value

    @field_validator("interfaces")
    @classmethod
    def _check_interfaces(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_unique(value, "interface")
        return tuple(check_interface(one) for one in value)

    @property
    def brokers(self) -> tuple[str, ...]:
        """All addresses, in the order in which they are tried."""
        return (self.broker, *self.more_brokers)

    @property
    def ways(self) -> tuple[tuple[str, str], ...]:
        """Broker and interface ('': the system's choice), in the order in which they are tried: where one way is dead
        the same broker by the next interface first."""
        return tuple((broker, interface) for broker in self.brokers for interface in self.interfaces or ("",))

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
    engine: Literal["auto", "onnxruntime", "openvino", "tensorrt", "rknn", "hailo"] = "auto"
    """What runs the detectors; ``auto`` takes a neural or graphics processor that a release has an artefact for and
    whose library is installed, else ONNX Runtime."""
    cameras: dict[SourceId, Camera] = Field(default_factory=dict)
    sensors: dict[SourceId, Sensor] = Field(default_factory=dict)

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
