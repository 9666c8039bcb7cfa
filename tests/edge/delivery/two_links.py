"""Run in a network namespace of its own: a box with two links to a broker, of which the first dies.

Prints by which device the box is connected after that, how long it took, and by which a while after the first is back.
"""

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from contract.topics import Address
from edge.config import Uplink as UplinkConfig
from edge.delivery.conversation import Conversation
from edge.delivery.outbox import Outbox
from edge.delivery.uplink import Uplink
from tests.edge.delivery.talking import turn

BROKER = "10.99.0.1"
LINKS = {"cable": "10.99.1", "modem": "10.99.2"}


def run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


@contextlib.contextmanager
def far_end(folder: Path) -> Iterator[str]:
    """A namespace with a broker, at the other ends of both links; the prefix of a command in there."""
    (folder / "conf").write_text(f"listener 1883 {BROKER}\nallow_anonymous true\nuser root\n")
    with subprocess.Popen(["unshare", "-n", "sleep", "1000"]) as there:
        time.sleep(0.5)
        inside = f"nsenter -t {there.pid} -n"
        run("ip link set lo up")
        run(f"{inside} ip link set lo up")
        run(f"{inside} ip addr add {BROKER}/32 dev lo")
        for metric, (device, net) in enumerate(LINKS.items(), 1):
            run(f"ip link add {device} type veth peer name far-{device} netns {there.pid}")
            run(f"ip addr add {net}.2/24 dev {device}")
            run(f"ip link set {device} up")
            run(f"{inside} ip addr add {net}.1/24 dev far-{device}")
            run(f"{inside} ip link set far-{device} up")
            run(f"ip route add {BROKER}/32 via {net}.1 metric {metric}")
        broker = [*inside.split(), "mosquitto", "-c", str(folder / "conf")]
        with subprocess.Popen(broker, stderr=subprocess.DEVNULL) as process:
            time.sleep(1)
            try:
                yield inside
            finally:
                process.kill()
                there.kill()


def main(folder: Path) -> None:
    def clock() -> int:
        return time.time_ns() // 1000

    outbox = Outbox(folder / "outbox.sqlite", 10**9, clock)
    settings = UplinkConfig(broker=f"mqtt://{BROKER}:1883", cloud="http://127.0.0.1", interfaces=tuple(LINKS))
    conversation = Conversation(outbox, clock)
    uplink = Uplink(settings, Address(1, "a", "b"), conversation, lambda payload: None, clock, chance=random.Random(1))

    def until(seconds: float, device: str = "") -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            turn(uplink)
            if device and uplink.connected and uplink.interface == device:
                return True
        return False

    with far_end(folder) as inside:
        assert until(20, "cable"), uplink.reason
        # Both ends stay up, and what is sent is heard by nobody: a switch between them has died.
        run(f"{inside} ip addr flush dev far-cable")
        began = time.monotonic()
        while not until(1.0, "modem"):
            uplink.publish("vedette/v1/1/a/b/up", b"a reading")
            assert time.monotonic() - began < 60, uplink.reason
        took = time.monotonic() - began
        until(3.0)
        sys.stdout.write(f"modem {took:.1f} {uplink.interface}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
