"""The data folder of ``vedette up``: what lies where in it, and that only one process uses it."""

import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloud.settings import CloudSettings
from vedette.client import SERVER_FILE

_SETTINGS: Final = "settings.json"
_LOCK: Final = "lock"


class HomeError(RuntimeError):
    """The data folder cannot be used; the text names it and the way out."""


@dataclass(frozen=True)
class Home:
    """The folder's parts."""

    folder: Path

    @property
    def database(self) -> Path:
        """Of the embedded PostgreSQL."""
        return self.folder / "postgres"

    @property
    def broker(self) -> Path:
        """Of the embedded broker."""
        return self.folder / "broker"

    @property
    def evidence(self) -> Path:
        """The cloud's evidence files."""
        return self.folder / "evidence"

    @property
    def repositories(self) -> Path:
        """Release and assignment repositories, as nodes read them."""
        return self.folder / "tuf"

    @property
    def keys(self) -> Path:
        """Their signing keys."""
        return self.folder / "keys"

    @property
    def logs(self) -> Path:
        """What each part says, one file a part."""
        return self.folder / "logs"

    @property
    def demo(self) -> Path:
        """The demonstration's node: its configuration, its clips, its storage."""
        return self.folder / "demo"

    def make(self) -> None:
        """Create the folder, for this user only.

        Raises:
            HomeError: it cannot be created, read or written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            probe = self.folder / ".probe"
            probe.write_bytes(b"")
            probe.unlink()
            list(self.folder.iterdir())
        except OSError as error:
            raise HomeError(
                f"data folder {self.folder} cannot be used: {error.strerror}; give it to this user or name another "
                "with --data-dir"
            ) from error

    def lock(self) -> int:
        """Hold the folder for as long as this process lives; returns the lock's file descriptor.

        Raises:
            HomeError: another process holds it.
        """
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            os.close(descriptor)
            raise HomeError(
                f"another 'vedette up' (process {holder or 'unknown'}) runs on {self.folder}; stop it, or name another "
                "folder with --data-dir"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return descriptor

    def broker_password(self) -> str:
        """The cloud's own password at the broker: that of the last start, else a new one."""
        known = self.folder / _SETTINGS
        if known.exists():
            return self.settings().broker_password.get_secret_value()
        return secrets.token_urlsafe(24)

    def write_settings(self, settings: CloudSettings) -> None:
        """Leave the settings for the commands of the terminal; they hold the broker's password."""
        write_private(self.folder / _SETTINGS, json.dumps(settings.environment(), indent=1))

    def write_server(self, url: str) -> None:
        """Tell the commands of the terminal where the API answers."""
        write_private(self.folder / SERVER_FILE, json.dumps({"url": url, "pid": os.getpid()}))

    def forget_server(self) -> None:
        """The server answers no more."""
        (self.folder / SERVER_FILE).unlink(missing_ok=True)

    def settings(self) -> CloudSettings:
        """The settings that the last 'vedette up' on this folder used.

        Raises:
            HomeError: there was none, or its file is damaged.
        """
        path = self.folder / _SETTINGS
        try:
            return CloudSettings.from_environment(json.loads(path.read_text()))
        except FileNotFoundError:
            raise HomeError(f"no Vedette was ever started on {self.folder}; start one with 'vedette up'") from None
        except (OSError, ValueError) as error:
            raise HomeError(f"{path} cannot be read: {error}; remove it and start 'vedette up' again") from error


def write_private(path: Path, text: str) -> None:
    """A file that only this user may read, whole or not at all."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)
