"""Logs: structlog events, JSON lines from every part, gathered by the supervisor into one stream."""

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, TextIO

import structlog

_SECRET = re.compile(r"(://)[^/@\s'\"]+@")


def configure(part: str, stream: TextIO | None = None, text: bool = False) -> None:
    """Set up this process's log; called once, by its main.

    Args:
        part: stands in every line.
        stream: standard error when left out.
        text: for a person at a terminal; otherwise a JSON object a line.
    """
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(part=part)
    renderer: Any = structlog.dev.ConsoleRenderer(colors=False) if text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            _merge_context,
            structlog.processors.add_log_level,
            _stamp,
            structlog.processors.format_exc_info,
            _redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


@contextmanager
def configured(part: str, text: bool = False) -> Iterator[None]:
    """As ``configure``, and as before afterwards: for a caller that goes on with a life of its own."""
    before = structlog.get_config()
    configure(part, text=text)
    try:
        yield
    finally:
        structlog.contextvars.clear_contextvars()
        structlog.configure(**before)


def redact_text(text: str) -> str:
    """Any URL in a text without its user and password, whoever wrote the text."""
    return _SECRET.sub(r"\1***@", text)


def _merge_context(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The part's name, unless the line carries another's."""
    for key, value in structlog.contextvars.get_contextvars().items():
        event.setdefault(key, value)
    return event


_time = structlog.processors.TimeStamper(fmt="iso", utc=True)


def _stamp(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The time, unless the line was stamped in the part it comes from."""
    return event if "timestamp" in event else _time(logger, method, event)


def _redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redact_text(value)
    return event
