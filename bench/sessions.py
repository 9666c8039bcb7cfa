"""ONNX Runtime sessions that say how long they ran, whoever opens and runs them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import onnxruntime as ort

_REAL: Final = ort.InferenceSession


class TimedSession:
    """A session of ONNX Runtime; ``spent`` is the sum of seconds within its runs.

    Opened without options it gets one thread: a program that leaves the choice to ONNX Runtime would get all cores.
    """

    def __init__(self, model: str | bytes, options: Any = None, **more: Any) -> None:
        self._session = _REAL(model, options or one_thread(), **more)
        self.spent = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, *given: Any, **named: Any) -> Any:
        """As of the session."""
        return self._timed(self._session.run, given, named)

    def run_with_ort_values(self, *given: Any, **named: Any) -> Any:
        """As of the session."""
        return self._timed(self._session.run_with_ort_values, given, named)

    def run_with_iobinding(self, *given: Any, **named: Any) -> Any:
        """As of the session."""
        return self._timed(self._session.run_with_iobinding, given, named)

    def _timed(self, call: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        started = time.perf_counter()
        try:
            return call(*given, **named)
        finally:
            self.spent += time.perf_counter() - started


def one_thread() -> Any:
    """Options as the node's own engine takes them, for one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def open_session(model: bytes | Path) -> Any:
    """A plain session on one thread of the processor."""
    given = model if isinstance(model, bytes) else str(model)
    return _REAL(given, one_thread(), providers=["CPUExecutionProvider"])


@contextmanager
def timed_sessions() -> Iterator[list[TimedSession]]:
    """Within it every session that anybody opens is a ``TimedSession``; they are listed in the order of opening."""
    made: list[TimedSession] = []

    def make(*given: Any, **named: Any) -> TimedSession:
        session = TimedSession(*given, **named)
        made.append(session)
        return session

    ort.InferenceSession = make
    try:
        yield made
    finally:
        ort.InferenceSession = _REAL
