"""One process of the node: started, heard, killed."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

import msgspec
import structlog

_log = structlog.get_logger()
_LONGEST_LINE = 16 * 1024
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class Child:
    """A process in a group of its own, with its output on a pipe.

    Args:
        part: its name.
        command: what to start.
        selector: told of the pipe; when it is ready, ``relay`` is the registered data, to be called.
        monotonic: seconds.
    """

    def __init__(
        self,
        part: str,
        command: Sequence[str],
        selector: selectors.BaseSelector,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.part = part
        self.started = monotonic()
        self._selector = selector
        self._rest = b""
        # Its own group: Ctrl-C reaches the supervisor alone, and a kill takes helpers of the part along.
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        selector.register(self._pipe, selectors.EVENT_READ, self.relay)
        self._open = True

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def ended(self) -> str | None:
        """How the process ended, in words; None while it runs. What it had started itself ends with it."""
        if self._process.returncode is None:
            # Looked at before it is reaped: until then nobody else can have its number, or its group's.
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            self.signal(signal.SIGKILL)
            self._process.wait()
        code = self._process.returncode
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"

    def signal(self, number: signal.Signals) -> None:
        """Signal the part and whatever it has started."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def relay(self) -> None:
        """Pass on to the log what lies in the pipe, whole lines, with the part's name."""
        while self._open:
            try:
                chunk = os.read(self._pipe.fileno(), 65536)
            except BlockingIOError:
                return
            if not chunk:
                if self._rest:
                    _pass_on(self.part, self._rest)
                self._selector.unregister(self._pipe)
                self._pipe.close()
                self._open = False
                return
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                _pass_on(self.part, line)
            if len(self._rest) > _LONGEST_LINE:
                _pass_on(self.part, self._rest)
                self._rest = b""

    def close(self) -> None:
        """Kill it where it still runs, gather its last words, and give up the pipe."""
        if self.ended() is None:
            self.signal(signal.SIGKILL)
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self.ended()
        self.relay()
        if self._open:
            self._selector.unregister(self._pipe)
            self._pipe.close()
            self._open = False


def _pass_on(part: str, line: bytes) -> None:
    """A part's log line as it was; anything else (a library's complaint, a traceback) as the text it is."""
    try:
        fields = msgspec.json.decode(line, type=dict[str, object])
        event, level = str(fields.pop("event")), _LEVELS.get(str(fields.pop("level", "info")), 20)
    except (msgspec.DecodeError, KeyError):
        text = line.decode(errors="replace").rstrip()
        if text:
            _log.warning("part.output", part=part, line=text)
        return
    _log.log(level, event, **{str(key): value for key, value in fields.items()} | {"part": part})
