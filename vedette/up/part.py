"""A part of the system that is a program of our own, seen the way ``cloud.servers.server.Server`` sees a server."""

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar


def _nothing() -> None:
    return None


def _yes() -> bool:
    return True


@dataclass(frozen=True)
class Program:
    """``vedette ARGUMENT …`` as a part of ``vedette up``.

    ``prepare`` is called before every start, ``answers`` until it says yes.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] = _nothing
    answers: Callable[[], bool] = _yes
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    @property
    def command(self) -> list[str]:
        """The child's command line."""
        return [sys.executable, "-m", "vedette", *self.arguments]

    def prepare(self) -> None:
        """Make what it needs."""
        self.before()

    def ready(self) -> bool:
        """Whether it does its work."""
        return self.answers()
