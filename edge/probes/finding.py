"""What a probe found."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing of the node that was tried. No text of it holds a password."""

    kind: str
    """``config``, ``camera``, ``sensor``, ``model``, ``broker``, ``cloud``, ``storage``, ``memory`` or ``clock``."""
    name: str
    ok: bool
    detail: str
    """What was found."""
    way_out: str = ""
    """What to do about it, where it is not ok."""


@dataclass(frozen=True)
class Probe:
    """Something to try: ``run`` comes back within ``limit_s``, or counts as hanging."""

    kind: str
    name: str
    run: Callable[[], Finding]
    limit_s: float
