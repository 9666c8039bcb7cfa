"""What the cloud's processes are told when they start: where the database, the broker and the files are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

PREFIX = "VEDETTE_"


class SettingsError(ValueError):
    """The settings cannot be used; one line for each fault, no password in it."""


class CloudSettings(BaseModel):
    """Settings of every cloud process. In a child's environment each is ``VEDETTE_`` and its name in capitals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: Annotated[str, Field(repr=False)]
    """How to connect to PostgreSQL, as libpq takes it: ``host=… dbname=…`` or ``postgresql://…``."""
    broker: str = "mqtt://127.0.0.1:1883"
    """``mqtt://host:1883`` or ``mqtts://host:8883``."""
    more_brokers: tuple[str, ...] = ()
    """Other addresses of the same broker, tried in turn where one cannot be reached; in a variable, commas between."""
    broker_username: str = "cloud"
    broker_password: SecretStr = SecretStr("")
    broker_ca: Path | None = None
    """File of the certificates to trust with ``mqtts://``, in PEM; the system's when left out."""
    evidence: Path
    """Folder of the evidence files."""
    tuf: Path
    """Folder of the release and assignment repositories."""
    keys: Path
    """Folder of the signing keys; nobody else may read it."""
    listen: str = "127.0.0.1:8080"
    """Where the API and the page are served."""
    console: Path | None = None
    """Folder of the built page; the one in the package when left out."""
    demo_note: str = ""
    """What the page must say of the demonstration; empty in earnest."""
    metrics_listen: str = ""
    """``host:port`` on which a process without an HTTP interface shows its metrics; nowhere when empty."""
    partitions: Annotated[int, Field(ge=1, le=256)] = 256
    """The most partitions one ingest worker takes."""
    heartbeat_url: str = ""
    """Asked once a minute while the whole works; whoever watches it raises the alarm when it falls silent."""
    readings_days: Annotated[int, Field(ge=1)] = 30
    """Readings as they came; what follows is how long everything else is kept (docs/store.md)."""
    minutes_days: Annotated[int, Field(ge=1)] = 400
    hours_days: Annotated[int, Field(ge=1)] = 3650
    plates_days: Annotated[int, Field(ge=1)] = 30
    evidence_days: Annotated[int, Field(ge=1)] = 90
    events_days: Annotated[int, Field(ge=1)] = 1095
    journal_days: Annotated[int, Field(ge=1)] = 8
    feed_hours: Annotated[int, Field(ge=1)] = 24
    quarantine_days: Annotated[int, Field(ge=1)] = 90

    @field_validator("broker")
    @classmethod
    def _check_broker(cls, value: str) -> str:
        return _checked_broker(value)

    @field_validator("more_brokers", mode="before")
    @classmethod
    def _split_brokers(cls, value: object) -> object:
        return tuple(one.strip() for one in value.split(",") if one.strip()) if isinstance(value, str) else value

    @field_validator("more_brokers")
    @classmethod
    def _check_more_brokers(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        first = str(info.data.get("broker", ""))
        for one in map(_checked_broker, value):
            if first and urlsplit(one).scheme != urlsplit(first).scheme:
                raise ValueError(f"{one} must be {urlsplit(first).scheme}:// as VEDETTE_BROKER is")
        return value

    @field_validator("heartbeat_url")
    @classmethod
    def _check_heartbeat(cls, value: str) -> str:
        if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            raise ValueError("must be http://host/… or https://host/…")
        return value

    @property
    def broker_host(self) -> str:
        """Host of the broker."""
        return urlsplit(self.broker).hostname or ""

    @property
    def broker_port(self) -> int:
        """Port of the broker; 1883, or 8883 with TLS, when not named."""
        return broker_port(self.broker)

    @property
    def brokers(self) -> tuple[str, ...]:
        """All addresses of the broker, in the order in which they are tried."""
        return (self.broker, *self.more_brokers)

    @property
    def broker_tls(self) -> bool:
        """Whether the broker is spoken to through TLS."""
        return urlsplit(self.broker).scheme == "mqtts"

    def environment(self) -> dict[str, str]:
        """The settings as variables for a child process; the inverse of ``from_environment``."""
        found = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, tuple):
                found[PREFIX + name.upper()] = ",".join(value)
            elif value is not None:
                found[PREFIX + name.upper()] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        return found

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from variables.

        Raises:
            SettingsError: one is missing or wrong.
        """
        given = {
            name: environment[PREFIX + name.upper()]
            for name in cls.model_fields
            if PREFIX + name.upper() in environment
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise SettingsError(
                "\n".join(_explain(str(item["loc"][0]), item["msg"]) for item in error.errors())
            ) from None


def broker_port(url: str) -> int:
    """Port of a broker's address; 1883, or 8883 with TLS, when not named."""
    parts = urlsplit(url)
    return parts.port or (8883 if parts.scheme == "mqtts" else 1883)


def _checked_broker(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ValueError("must be mqtt://host:port or mqtts://host:port")
    if parts.username or parts.password:
        raise ValueError("must not carry a password; set broker_username and broker_password")
    return url


def _explain(name: str, message: str) -> str:
    if message == "Field required":
        return f"{PREFIX}{name.upper()}: is missing; set it"
    return f"{PREFIX}{name.upper()}: {message.removeprefix('Value error, ')}"
