"""The way to the cloud: a real MQTT CONNECT, a real HTTPS request, and the clocks compared."""

import ssl
import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from contract.evidence import upload_path
from edge.config import ConfigError, NodeConfig
from edge.delivery.client import Client
from edge.interfaces import connect
from edge.probes.finding import Finding, Probe
from edge.sources.reach import ReachError, reach

TIMEOUT_S: Final = 8.0
OFF_S: Final = 5.0
"""The cloud replaces event times that lie further ahead than this."""
_EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
_WRONG_PASSWORD: Final = (0x84, 0x85, 0x86, 0x87, 4, 5)
"""CONNACK codes that speak of who we are: MQTT 5.0 section 3.2.2.2 (paho reports 3.1.1's 4 and 5 as those)."""


def uplink_probes(config: NodeConfig) -> list[Probe]:
    """Broker, cloud and clock."""
    return [
        *(
            Probe("broker", _way(*way), lambda way=way: try_broker(config, *way), 3 * TIMEOUT_S)  # type: ignore[misc]
            for way in config.uplink.ways
        ),
        Probe("cloud", config.uplink.cloud, lambda: try_cloud(config), 3 * TIMEOUT_S),
        Probe("clock", "time", lambda: try_clock(config), 2 * TIMEOUT_S),
    ]


def _way(broker: str, interface: str) -> str:
    return f"{broker} by {interface}" if interface else broker


def try_broker(config: NodeConfig, broker: str, interface: str = "") -> Finding:
    """Connect to an address as the node, under a client id of the check's own: the running node is not thrown out."""
    uplink = config.uplink
    parts = urlsplit(broker)
    tls = parts.scheme == "mqtts"
    host, port = parts.hostname or "", parts.port or (8883 if tls else 1883)

    def bad(detail: str, way_out: str) -> Finding:
        return Finding("broker", _way(broker, interface), ok=False, detail=detail, way_out=way_out)

    client = Client(
        CallbackAPIVersion.VERSION2, client_id=f"vedette-check-{config.site}-{config.node}", protocol=mqtt.MQTTv311
    )
    client.interface = interface
    try:
        reach(host, port, TIMEOUT_S, interface)
        if uplink.username:
            client.username_pw_set(uplink.username, uplink.secret())
        if tls:
            context = _trusted(config)
            # By ourselves first: paho tells less of what was wrong, and leaves the socket open.
            with (
                connect((host, port), interface, TIMEOUT_S) as plain,
                context.wrap_socket(plain, server_hostname=host),
            ):
                pass
            client.tls_set_context(context)
        client.connect_timeout = TIMEOUT_S
        answer = _connect(client, host, port)
    except ReachError as error:
        place = "uplink.broker, uplink.interfaces" if interface else "uplink.broker"
        return bad(str(error), f"check host and port ({place}), and the way there")
    except ConfigError as error:
        return bad(str(error), "name a file with the node's password (uplink.password_file)")
    except ssl.SSLCertVerificationError as error:
        return bad(f"its certificate is not trusted: {error.verify_message}", "name the issuer's (uplink.ca_file)")
    except ssl.SSLError as error:
        return bad(f"does not speak TLS as expected: {error.reason}", "check mqtt:// against mqtts:// (uplink.broker)")
    except OSError as error:
        return bad(f"{error.strerror or error}", "check uplink.broker and uplink.ca_file")
    if answer is None:
        return bad(f"took the connection and did not answer within {TIMEOUT_S:g} s", "is it an MQTT broker?")
    if answer.value in _WRONG_PASSWORD:
        way_out = "check uplink.username and uplink.password_file, and that the node is enrolled"
        return bad(f"refused the node's name or password ({answer})", way_out)
    if answer.is_failure:
        return bad(f"refused the connection: {answer}", "look into the broker's log")
    return Finding(
        "broker", _way(broker, interface), ok=True, detail="connected" + (", encrypted" if tls else ", not encrypted")
    )


def _connect(client: mqtt.Client, host: str, port: int) -> Any:
    """The broker's reason code; None where it gives none."""
    answered = threading.Event()
    codes: list[Any] = []

    def on_connect(client: mqtt.Client, data: Any, flags: Any, code: Any, properties: Any) -> None:
        codes.append(code)
        answered.set()

    client.on_connect = on_connect
    client.connect(host, port, keepalive=30)
    client.loop_start()
    try:
        answered.wait(TIMEOUT_S)
    finally:
        client.disconnect()
        client.loop_stop()
    return codes[0] if codes else None


def try_cloud(config: NodeConfig) -> Finding:
    """Ask for a file nobody has: only whether we may ask counts."""
    uplink = config.uplink
    try:
        reach(*_host_and_port(uplink.cloud), TIMEOUT_S)
        auth = httpx.BasicAuth(f"{config.site}/{config.node}", uplink.secret())
        with httpx.Client(timeout=TIMEOUT_S, verify=_trusted(config), auth=auth) as http:
            code = http.head(uplink.cloud + upload_path("0" * 64)).status_code
    except (ReachError, ConfigError, ssl.SSLError, httpx.HTTPError, OSError) as error:
        trust = "CERTIFICATE" in str(error)
        way_out = "name the issuer's certificate (uplink.ca_file)" if trust else "check uplink.cloud and the way there"
        return Finding("cloud", uplink.cloud, ok=False, detail=str(error) or type(error).__name__, way_out=way_out)
    if code in (401, 403):
        way_out = "check uplink.username and uplink.password_file, and that the node is enrolled"
        return Finding(
            "cloud", uplink.cloud, ok=False, detail=f"refused the node's name or password ({code})", way_out=way_out
        )
    if code >= 500:
        return Finding("cloud", uplink.cloud, ok=False, detail=f"answers {code}", way_out="look into the cloud's log")
    return Finding("cloud", uplink.cloud, ok=True, detail="takes evidence from this node")


def try_clock(config: NodeConfig) -> Finding:
    """Not before this release was made, and not off from the cloud's."""
    now = datetime.now(UTC)
    way_out = "set it and keep it set: timedatectl set-ntp true"
    if now < _EARLIEST:
        return Finding("clock", "time", ok=False, detail=f"says {now:%Y-%m-%d}, long ago", way_out=way_out)
    try:
        with httpx.Client(timeout=TIMEOUT_S, verify=_trusted(config)) as http:
            before = time.time()
            stamp = http.head(config.uplink.cloud + "/healthz").headers.get("date", "")
            after = time.time()
        theirs = parsedate_to_datetime(stamp).timestamp()
    except (httpx.HTTPError, ssl.SSLError, OSError, ValueError):
        return Finding("clock", "time", ok=True, detail=f"{now:%Y-%m-%d %H:%M:%S} UTC; nothing to compare it with")
    # The stamp has whole seconds: it was taken at some time from theirs to theirs + 1.
    off = before - (theirs + 1) if before > theirs + 1 else min(0.0, after - theirs)
    if abs(off) > OFF_S:
        ahead = "ahead of" if off > 0 else "behind"
        return Finding("clock", "time", ok=False, detail=f"{abs(off):.0f} s {ahead} the cloud's", way_out=way_out)
    return Finding("clock", "time", ok=True, detail=f"{now:%Y-%m-%d %H:%M:%S} UTC, as the cloud's")


def _trusted(config: NodeConfig) -> ssl.SSLContext:
    """Raises OSError or ssl.SSLError where ``ca_file`` cannot be used."""
    file = config.uplink.ca_file
    return ssl.create_default_context(cafile=None if file is None else str(file))


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
