"""The connection to the broker, as every process of the cloud has it.

It comes back by itself, at the next address where one fails, and says why it is away.
"""

import ssl
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from cloud.settings import CloudSettings, SettingsError, broker_port
from contract import certificates

_REFUSED: Final = "refused us"


class BrokerClient:
    """A client of the broker's, in paho's own thread from ``start`` to ``stop``.

    Args:
        settings: the addresses, and who we are to them.
        log: tells of connections made, refused and lost.
        up: called in paho's thread whenever there is a connection, to subscribe.
        down: called there when it is lost.
        client_id: made up by the broker when left out.
        keepalive_s: without a word for one and a half times so long, the connection is dead.
        pause_s: between two attempts, at first and at most.

    Raises:
        SettingsError: the file with the certificates cannot be used.
    """

    def __init__(
        self,
        settings: CloudSettings,
        log: structlog.stdlib.BoundLogger,
        up: Callable[[mqtt.Client], object],
        down: Callable[[], object],
        *,
        client_id: str = "",
        keepalive_s: int = 15,
        pause_s: tuple[int, int] = (1, 5),
    ) -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        self.reason = "not connected yet"
        """Why there is no connection; empty while there is one."""
        self._log = log
        self._up, self._down = up, down
        self._keepalive_s = keepalive_s
        self._urls = deque(settings.brokers)
        self.client.username_pw_set(settings.broker_username, settings.broker_password.get_secret_value())
        self._tls = settings.broker_tls
        if self._tls:
            self.client.tls_set_context(_trusting(settings))
        self.client.reconnect_delay_set(*pause_s)
        self.client.on_connect = self._on_connect
        self.client.on_connect_fail = self._on_connect_fail
        self.client.on_disconnect = self._on_disconnect

    def start(self) -> None:
        """Connect, now and whenever the connection is lost."""
        self._aim()
        self.client.loop_start()

    def stop(self) -> None:
        """Disconnect, and end the thread."""
        self.client.disconnect()
        self.client.loop_stop()

    @property
    def _url(self) -> str:
        """The address that is in use, or will be tried next."""
        return self._urls[0]

    def _aim(self) -> None:
        self.client.connect_async(urlsplit(self._url).hostname or "", broker_port(self._url), self._keepalive_s)

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self.reason = f"{_REFUSED}: {code}; check VEDETTE_BROKER_USERNAME and VEDETTE_BROKER_PASSWORD"
            self._log.error("broker refused us", broker=self._url, reason=self.reason)
            return
        self.reason = ""
        self._log.info("broker connected", broker=self._url)
        self._up(client)

    def _on_connect_fail(self, _client: mqtt.Client, _data: Any) -> None:
        """Called by paho while it handles the error, which it does not pass on."""
        error = sys.exc_info()[1]
        reason = explain(error, self._tls) if isinstance(error, OSError) else "no connection"
        if reason != self.reason:
            self._log.error("broker cannot be reached", broker=self._url, reason=reason)
        self.reason = reason
        self._turn()

    def _on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._down()
        if code.is_failure:  # else it was us
            if not self.reason.startswith(_REFUSED):
                self.reason = f"connection lost: {code}"
                self._log.warning("broker disconnected", broker=self._url, reason=str(code))
            self._turn()

    def _turn(self) -> None:
        """The next attempt goes to the next address."""
        if len(self._urls) > 1:
            self._urls.rotate(-1)
            self._aim()


def explain(error: OSError, tls: bool) -> str:
    """Why a connection could not be made, and the way out."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return certificates.explain(error, "this machine", "VEDETTE_BROKER_CA")
    if isinstance(error, ssl.SSLError) or (tls and isinstance(error, ConnectionResetError)):
        text = getattr(error, "reason", None) or error.strerror
        return f"does not speak TLS as expected: {text}; check mqtt:// against mqtts:// in VEDETTE_BROKER"
    text = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
    return f"{text}; start it, or name another with VEDETTE_BROKER"


def _trusting(settings: CloudSettings) -> ssl.SSLContext:
    """Trusts the named certificates, or the system's where none are named."""
    try:
        return ssl.create_default_context(cafile=settings.broker_ca)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise SettingsError(
            f"VEDETTE_BROKER_CA: {settings.broker_ca} cannot be used: {reason}; name a PEM file"
        ) from None
