"""Ways out of the box: a connection by a named network device, or from a named address of the box.

A device (``eth0``, ``wwan0``) is bound by ``SO_BINDTODEVICE`` (socket(7)): packets leave by it whatever the other
routes say, as long as it has one of its own to the broker. Since Linux 5.7 any user may do so; before that it takes
``CAP_NET_RAW``. An address alone (bind(2)) does not choose the device: for that the routes must go by source
(ip-rule(8)).
"""

import errno
import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

import httpx

_DEVICE: Final = re.compile(r"(?!\.{1,2}$)[^\s/:]{1,15}")
"""What Linux takes as a device's name (``dev_valid_name`` in net/core/dev.c)."""
_NEEDS_RIGHTS: Final = "may not be bound to; that needs Linux 5.7, or CAP_NET_RAW"


def check_interface(name: str) -> str:
    """``name`` if it can be one. Raises ``ValueError``."""
    if not is_address(name) and not _DEVICE.fullmatch(name):
        raise ValueError(f"{name!r} is neither a network device nor an address; write eth0, wwan0 or 192.0.2.7")
    return name


def is_address(name: str) -> bool:
    """Whether it is an address; else it names a device."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def connect(address: tuple[str, int], interface: str, timeout_s: float | None) -> socket.socket:
    """A TCP connection by an interface; the system chooses where it is empty.

    Raises:
        OSError: as ``socket.create_connection``; what concerns the interface names it.
    """
    if not interface:
        return socket.create_connection(address, timeout=timeout_s)
    if is_address(interface):
        try:
            return socket.create_connection(address, timeout=timeout_s, source_address=(interface, 0))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise OSError(error.errno, f"the box has no address {interface} just now") from error
            raise
    problem: OSError | None = None
    for family, kind, protocol, _, where in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(timeout_s)
            _bind(opened, interface)
            opened.connect(where)
        except OSError as error:
            opened.close()
            problem = error
        else:
            return opened
    assert problem is not None
    raise problem


def _bind(opened: socket.socket, device: str) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
    except PermissionError as error:
        raise OSError(error.errno, f"device {device} {_NEEDS_RIGHTS}") from error
    except OSError as error:
        raise OSError(error.errno, f"the box has no device {device} just now") from error


class FollowingTransport(httpx.BaseTransport):
    """HTTP by the interface that works: evidence follows the records.

    Args:
        interfaces: all there are.
        current: the one in use.
        verify: as ``httpx.Client`` takes it.
    """

    def __init__(self, interfaces: Sequence[str], current: Callable[[], str], verify: Any) -> None:
        self._current = current
        self._transports = {one: _transport(one, verify) for one in interfaces}

    def __enter__(self) -> Self:
        for transport in self._transports.values():
            transport.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        for transport in self._transports.values():
            transport.__exit__(kind, error, trace)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        return self._transports[self._current()].handle_request(request)

    def close(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            transport.close()


def _transport(interface: str, verify: Any) -> httpx.HTTPTransport:
    if is_address(interface):
        return httpx.HTTPTransport(verify=verify, local_address=interface)
    option = (socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
    return httpx.HTTPTransport(verify=verify, socket_options=[option])
