"""One node process a data directory."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.config import ConfigError


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold the data directory; the kernel lets go of it when the process ends, however it ends.

    Raises:
        ConfigError: another process holds it, or it cannot be written to.
    """
    path = data / "lock"
    try:
        file = path.open("w")
    except OSError as error:
        raise ConfigError(
            f"storage.folder: {data} cannot be written to: {error.strerror}; give it to this user or name another"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"storage.folder: another node process already runs on {data}; stop it, or give this node a"
                " folder of its own"
            ) from None
        yield
