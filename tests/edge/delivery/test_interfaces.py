"""Two ways out of the box: each is bound to, tried in turn, and left when it is dead."""

import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from contract.records import Lane
from edge.check import check
from edge.delivery.outbox import Outbox
from edge.interfaces import FollowingTransport, connect
from tests.conftest import free_port
from tests.edge.delivery.samples import event
from tests.edge.delivery.servers import CloudClient
from tests.edge.delivery.test_uplink import ADDRESS, own_broker, uplink

NOWHERE = "192.0.2.7"
"""An address for documents (RFC 5737): no box has it."""


def test_a_connection_comes_from_the_address_that_it_is_bound_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for interface, seen in (("127.0.0.2", "127.0.0.2"), ("", "127.0.0.1"), ("lo", "127.0.0.1")):
            with connect(("127.0.0.1", port), interface, 5.0):
                taken, (peer, _) = server.accept()
                taken.close()
            assert peer == seen


@pytest.mark.parametrize(
    ("interface", "said"),
    [(NOWHERE, f"the box has no address {NOWHERE} just now"), ("nope0", "the box has no device nope0 just now")],
)
def test_an_interface_that_is_not_there_is_named(interface: str, said: str) -> None:
    with pytest.raises(OSError, match=said):
        connect(("127.0.0.1", free_port()), interface, 5.0)


@pytest.mark.parametrize(
    ("interfaces", "said"),
    [
        ("[eth0/1]", "uplink.interfaces: 'eth0/1' is neither a network device nor an address; write eth0, wwan0"),
        ("[a-name-that-is-too-long]", "'a-name-that-is-too-long' is neither"),
        ("[eth0, eth0]", "interface 'eth0' stands there twice"),
        ("eth0", "uplink.interfaces: is no list"),
    ],
)
def test_an_interface_that_cannot_be_is_refused_by_the_check(tmp_path: Path, interfaces: str, said: str) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(
        "node: a\nsite: b\nuplink: {broker: 'mqtt://127.0.0.1', cloud: 'http://127.0.0.1', "
        f"interfaces: {interfaces}}}\nstorage: {{folder: {tmp_path}}}\n"
    )
    [finding] = check(path)
    assert not finding.ok
    assert said in finding.detail


def test_the_check_tries_every_way(tmp_path: Path) -> None:
    port = free_port()
    path = tmp_path / "node.yaml"
    path.write_text(
        f"node: a\nsite: b\nuplink: {{broker: 'mqtt://127.0.0.1:{port}', cloud: 'http://127.0.0.1:{port}', "
        f"interfaces: [nope0, 127.0.0.2], username: all, password: word}}\nstorage: {{folder: {tmp_path}/data}}\n"
    )
    with own_broker(tmp_path, port):
        found = {finding.name: finding for finding in check(path) if finding.kind == "broker"}
    dead, good = found[f"mqtt://127.0.0.1:{port} by nope0"], found[f"mqtt://127.0.0.1:{port} by 127.0.0.2"]
    assert (dead.ok, good.ok) == (False, True)
    assert "the box has no device nope0 just now" in dead.detail
    assert "uplink.interfaces" in dead.way_out


def test_where_one_way_is_dead_the_next_is_taken(outbox: Outbox, tmp_path: Path) -> None:
    port = free_port()
    who = {"username": "all", "password": SecretStr("word")}
    ways = (NOWHERE, "nope0", "127.0.0.2")
    with own_broker(tmp_path, port):
        cloud = CloudClient(port, ADDRESS, "all", "word")
        with uplink(outbox, f"mqtt://127.0.0.1:{port}", interfaces=ways, **who) as driver:
            reasons = set()

            def connected() -> bool:
                reasons.add(driver.uplink.reason)
                return driver.uplink.connected

            driver.until(connected)
            assert driver.uplink.interface == "127.0.0.2"
            outbox.append([event("fire")])
            driver.until(lambda: cloud.cloud.records[Lane.ALARM] == [event("fire")])
        cloud.close()
    assert (
        f"broker mqtt://127.0.0.1:{port} by {NOWHERE} cannot be reached: the box has no address {NOWHERE} just now"
        in reasons
    )
    assert f"broker mqtt://127.0.0.1:{port} by nope0 cannot be reached: the box has no device nope0 just now" in reasons


def test_evidence_goes_by_the_interface_of_the_records() -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.client_address[0].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    current = ["127.0.0.2"]
    transport = FollowingTransport(("127.0.0.2", "lo"), lambda: current[0], True)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", transport=transport) as client:
        assert client.get("/").text == "127.0.0.2"
        current[0] = "lo"
        assert client.get("/").text == "127.0.0.1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or shutil.which("ip") is None
    or shutil.which("mosquitto") is None
    or subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode != 0,
    reason="needs network namespaces, iproute2 and mosquitto",
)
@pytest.mark.slow  # a dead link is left after fifteen seconds
def test_a_cable_that_is_dead_is_left_for_the_modem_within_the_keep_alive(tmp_path: Path) -> None:
    """Two devices to a broker in a namespace of its own; the first one's far end swallows all packets."""
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-m", "tests.edge.delivery.two_links", tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    by, seconds, back = done.stdout.split()[-3:]
    assert (by, back) == ("modem", "modem")
    assert float(seconds) < 20
