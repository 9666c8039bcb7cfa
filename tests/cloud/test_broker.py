"""A process of the cloud finds its broker again, at another address if need be, and says why where it cannot."""

import queue
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from structlog.testing import capture_logs

from cloud.broker import BrokerClient
from cloud.servers.broker import BrokerUser, EmbeddedBroker
from cloud.servers.server import running
from cloud.settings import CloudSettings, SettingsError
from tests.brokers.authority import Authority, Certificate
from tests.brokers.nats import Nats
from tests.conftest import free_port

CLOUD = BrokerUser("cloud", "word")
WAIT_S = 20.0
# paho leaves the socket of a refused handshake to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def settings_for(*brokers: str, password: str = "word", ca: Path | None = None) -> CloudSettings:
    return CloudSettings(
        database="", broker=brokers[0], more_brokers=brokers[1:], broker_password=SecretStr(password), broker_ca=ca,
        evidence=Path(), tuf=Path(), keys=Path(),
    )  # fmt: skip


@contextmanager
def client(settings: CloudSettings) -> Iterator[tuple[BrokerClient, "queue.Queue[str]"]]:
    """A client, and what it tells: ``up``, ``down``."""
    heard: queue.Queue[str] = queue.Queue()
    log = structlog.get_logger()
    one = BrokerClient(settings, log, lambda _: heard.put("up"), lambda: heard.put("down"), pause_s=(1, 1))
    one.start()
    try:
        yield one, heard
    finally:
        one.stop()


@contextmanager
def server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    with running(EmbeddedBroker(folder / "broker", port, [CLOUD]), log=folder / "log") as process:
        yield process


def until(condition: Callable[[], bool]) -> None:
    pause: queue.Queue[None] = queue.Queue()
    for _ in range(int(WAIT_S / 0.02)):
        if condition():
            return
        with pytest.raises(queue.Empty):
            pause.get(timeout=0.02)
    raise AssertionError("waited in vain")


def test_where_one_address_is_dead_the_next_is_tried_and_the_first_again(tmp_path: Path) -> None:
    one, other = free_port(), free_port()
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with client(settings_for(f"mqtt://127.0.0.1:{one}", f"mqtt://127.0.0.1:{other}")) as (broker, heard):
        with server(tmp_path / "other", other):
            assert heard.get(timeout=WAIT_S) == "up"
            assert broker.reason == ""
        assert heard.get(timeout=WAIT_S) == "down"
        until(lambda: "Connection refused; start it, or name another with VEDETTE_BROKER" in broker.reason)
        with server(tmp_path / "one", one):
            assert heard.get(timeout=WAIT_S) == "up"


def test_a_wrong_password_is_said_without_it(tmp_path: Path) -> None:
    port = free_port()
    with server(tmp_path, port), client(settings_for(f"mqtt://127.0.0.1:{port}", password="hush")) as (broker, _):
        until(lambda: "check VEDETTE_BROKER_USERNAME and VEDETTE_BROKER_PASSWORD" in broker.reason)
        assert "hush" not in broker.reason


def good(ours: Authority) -> Certificate:
    return ours.issue("good")


def expired(ours: Authority) -> Certificate:
    return ours.issue("expired", expired=True)


def renamed(ours: Authority) -> Certificate:
    return ours.issue("renamed", hosts=("broker.example",))


@pytest.mark.parametrize(
    ("certificate", "trusted", "said"),
    [
        (
            good,
            "other",
            "is not trusted: unable to get local issuer certificate; name its issuer's with VEDETTE_BROKER_CA",
        ),
        (expired, "ours", "has expired; renew it, or set this machine's clock"),
        (renamed, "ours", "certificate is not valid for 'localhost'.; name the broker as its certificate does"),
    ],
)
def test_a_certificate_that_cannot_be_trusted_is_explained_and_tried_again(
    tmp_path: Path, certificate: Callable[[Authority], Certificate], trusted: str, said: str
) -> None:
    ours = Authority(tmp_path, "ours")
    Authority(tmp_path, "other")
    first = Nats(tmp_path / "broker", [CLOUD], certificate(ours))
    with capture_logs() as logs, client(settings_for(first.url, ca=tmp_path / f"{trusted}.crt")) as (broker, heard):
        with running(first, log=tmp_path / "log"):
            until(lambda: said in broker.reason)
        until(lambda: "Connection refused" in broker.reason)
        if trusted == "ours":  # what was wrong is put right: it has gone on trying
            second = Nats(tmp_path / "second", [CLOUD], good(ours))
            second.port = first.port
            with running(second, log=tmp_path / "log"):
                assert heard.get(timeout=WAIT_S) == "up"
    assert any(entry.get("broker") == first.url and said in str(entry.get("reason")) for entry in logs)


def test_plain_mqtt_where_tls_was_named_is_explained(tmp_path: Path) -> None:
    port = free_port()
    with server(tmp_path, port), client(settings_for(f"mqtts://127.0.0.1:{port}")) as (broker, _):
        until(lambda: "check mqtt:// against mqtts:// in VEDETTE_BROKER" in broker.reason)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_certificates_that_cannot_be_used_is_named(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "ca.crt"
    if content:
        file.write_text(content)
    with pytest.raises(SettingsError, match=r"VEDETTE_BROKER_CA: .*ca\.crt cannot be used: .*; name a PEM file"):
        BrokerClient(settings_for("mqtts://localhost", ca=file), structlog.get_logger(), print, print)
