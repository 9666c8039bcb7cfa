"""What the cloud asks a node to do, and how the node answers."""

from collections.abc import Callable

import structlog

from contract.messages import SCHEMA, CheckUpdates, Command, Ping, Reply
from contract.wire import WireError, decode_command, encode

_log = structlog.get_logger()


class Commands:
    """Carries commands out.

    Args:
        clock: the cloud's, microseconds. A command is not carried out past its ``expires``.
        check_updates: wakes the update client; None where the node takes no releases.
    """

    def __init__(self, clock: Callable[[], int], check_updates: Callable[[], None] | None = None) -> None:
        self._clock = clock
        self._check_updates = check_updates

    def __call__(self, payload: bytes) -> bytes | None:
        """The reply to a message on ``cmd``; None where it could not be understood."""
        try:
            command = decode_command(payload)
        except WireError as error:
            _log.warning("command.refused", reason=str(error))
            return None
        ok, text = self._carry_out(command)
        _log.info("command", id=command.id, verb=type(command.verb).__name__, ok=ok, text=text)
        reply = Reply(id=command.id, time=self._clock(), ok=ok, error="" if ok else text, result=text if ok else "")
        return encode(reply)

    def _carry_out(self, command: Command) -> tuple[bool, str]:
        if command.schema > SCHEMA:
            return False, f"command has schema {command.schema}; this node knows up to {SCHEMA}"
        late = self._clock() - command.expires
        if late > 0:
            return False, f"expired {late / 1e6:.1f} s ago"
        if isinstance(command.verb, Ping):
            return True, "pong"
        assert isinstance(command.verb, CheckUpdates)
        if self._check_updates is None:
            return False, "this node takes no releases: no 'trust' in node.yaml"
        self._check_updates()
        return True, "looking"
