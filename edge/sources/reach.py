"""Whether something listens at the other end, and if not, why: the causes an installer can act on."""

import socket
from enum import StrEnum

from edge.interfaces import connect


class Unreached(StrEnum):
    """Why a connection did not come about."""

    UNKNOWN_NAME = "unknown-name"
    REFUSED = "refused"
    NO_ANSWER = "no-answer"
    UNREACHABLE = "unreachable"


class ReachError(Exception):
    """Nothing was reached; the text can be read after the thing's name."""

    def __init__(self, cause: Unreached, what: str) -> None:
        super().__init__(what)
        self.cause = cause


def reach(host: str, port: int, timeout_s: float, interface: str = "") -> None:
    """Connect once, by an interface where one is named, and hang up.

    Raises:
        ReachError: the name is unknown, nothing is there, nothing listens.
    """
    try:
        connect((host, port), interface, timeout_s).close()
    except (socket.gaierror, UnicodeError):
        raise ReachError(Unreached.UNKNOWN_NAME, f"cannot be found: the name {host!r} is unknown") from None
    except ConnectionRefusedError:
        what = f"refused the connection: nothing listens on port {port}"
        raise ReachError(Unreached.REFUSED, what) from None
    except TimeoutError:
        raise ReachError(Unreached.NO_ANSWER, f"did not answer within {timeout_s:g} s") from None
    except OSError as error:
        raise ReachError(Unreached.UNREACHABLE, f"cannot be reached: {error.strerror}") from None
