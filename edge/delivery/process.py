"""The delivery process: everything the node has to say goes out here."""

import random
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import httpx
import structlog

from contract.records import Health, Heartbeat, Lane
from contract.topics import Address
from edge.config import NodeConfig
from edge.delivery.commands import Commands
from edge.delivery.conversation import Conversation
from edge.delivery.health import compose
from edge.delivery.outbox import Outbox
from edge.delivery.plain import PlainEvents
from edge.delivery.schema import OutboxError
from edge.delivery.uplink import Uplink
from edge.delivery.upload import Uploader, basic_auth
from edge.delivery.uploads import UploadQueue
from edge.evidence.files import EvidenceFiles
from edge.interfaces import FollowingTransport
from edge.notices import Notices, ReleaseStaged
from edge.paths import NodePaths
from edge.supervisor.status import BEAT_S, PartStatus, read_all

HEALTH_S: Final = 10.0
HEARTBEAT_S: Final = 60.0
_THREAD_PAUSE_S: Final = 5.0
_THREAD_END_S: Final = 2.0
_WAIT_S: Final = 0.25
"""The loop turns at least this often: for ``stop``, and for what was appended while no mailbox was there to tell."""

_log = structlog.get_logger()


def run(config: NodeConfig, paths: NodePaths, stop: threading.Event, status: PartStatus) -> None:
    """Deliver until ``stop`` is set.

    Raises:
        ConfigError: the uplink's settings cannot be used.
        OutboxError: the outbox cannot be opened.
    """
    with ExitStack() as stack:
        outbox = Outbox(paths.outbox, config.storage.outbox_bytes, _wall)
        stack.callback(outbox.close)
        mailbox = Notices(paths.run, "delivery")
        stack.callback(mailbox.close)
        delivery = Delivery(config, paths, outbox, mailbox, stack, stop)
        while not stop.is_set():
            delivery.turn()
            status.beat(delivery.detail(), *delivery.state())


class Delivery:
    """The parts of the delivery process, and one turn of its loop."""

    def __init__(
        self,
        config: NodeConfig,
        paths: NodePaths,
        outbox: Outbox,
        mailbox: Notices,
        stack: ExitStack,
        stop: threading.Event,
    ) -> None:
        self._mailbox = mailbox
        self._paths = paths
        self._outbox = outbox
        self._software = software()
        self._started = time.monotonic()
        self._health_due = self._beat_due = self._started + 1.0
        self._beats = 0
        self._counts_due = self._started
        self._waiting: dict[Lane, int] = {}
        self._used = 0
        address = Address(config.partition, config.site, config.node)
        if outbox.claim(f"{config.site}/{config.node}"):
            _log.warning("outbox.copied", new_epoch=True, reason="it was another node's")
        self._conversation = Conversation(outbox, _wall, self._software)
        commands = Commands(self._cloud_time, _start_updates(config, paths, mailbox, stack, stop))
        self._uplink = Uplink(config.uplink, address, self._conversation, commands, _wall, self._software)
        stack.callback(self._uplink.close)
        http = stack.enter_context(_http(config, lambda: self._uplink.interface))
        self._plain = PlainEvents(outbox, address, self._uplink.publish) if config.uplink.publish_json else None
        files = EvidenceFiles(paths.evidence, config.storage.evidence_bytes)
        files.sweep()
        self._uploader = Uploader(http, UploadQueue(outbox), files, chance=random.Random())  # noqa: S311
        _thread(stack, "upload", self._uploader.run, stop)

    def turn(self) -> None:
        """Wait for the socket, the mailbox or a deadline, and do what there is to do."""
        readable, writable = self._wait()
        now = time.monotonic()
        if self._plain is not None and self._uplink.connected:
            self._plain.turn()
        connected = self._uplink.connected
        self._uplink.turn(now, readable, writable)
        if self._uplink.connected and not connected:
            # Who called us silent shall hear the better at once.
            self._health_due = self._beat_due = now
        if self._plain is not None:
            self._plain.save()
        if now >= self._counts_due:
            self._counts_due = now + BEAT_S
            self._waiting, self._used = self._outbox.waiting(), self._outbox.used_bytes()
        if now >= self._health_due:
            self._health_due = now + HEALTH_S
            self._report(now)
        if now >= self._beat_due:
            self._beat_due = now + HEARTBEAT_S
            self._beats += 1
            self._append(Heartbeat(time=_wall(), number=self._beats))

    def detail(self) -> dict[str, Any]:
        """For the part's status file."""
        return {
            "connected": self._uplink.connected,
            "interface": self._uplink.interface,
            "reason": self._uplink.reason,
            "waiting": {str(lane): count for lane, count in self._waiting.items()},
            "outbox_bytes": self._used,
            "delivered": self._conversation.delivered,
            "resent": self._conversation.window.resent,
            "uploaded": self._uploader.uploaded,
            "upload_reason": self._uploader.reason,
            "clock_ahead_s": self._clock_ahead_s(),
            "clock_reason": self._conversation.cloud_clock.told(time.monotonic()),
        }

    def state(self) -> tuple[str, str]:
        """``ok`` or ``degraded``, and why."""
        reason = self._uplink.reason or self._uploader.reason
        return ("degraded" if reason else "ok"), reason

    def _wait(self) -> tuple[bool, bool]:
        now = time.monotonic()
        due = self._uplink.deadline(now)
        timeout = _WAIT_S if due is None else min(max(due - now, 0.0), _WAIT_S)
        sock = self._uplink.fileno()
        reads = [self._mailbox.fileno()] + ([sock] if sock is not None else [])
        writes = [sock] if sock is not None and self._uplink.wants_write() else []
        readable, writable, _ = select.select(reads, writes, [], timeout)
        if self._mailbox.fileno() in readable:
            while self._mailbox.receive(0.0) is not None:
                pass
            self._uploader.wake()
        return sock is not None and sock in readable, bool(writable)

    def _report(self, now: float) -> None:
        health = compose(
            read_all(self._paths.status),
            monotonic=now,
            time=_wall(),
            software=self._software,
            uptime_s=now - self._started,
            waiting=sum(self._waiting.values()),
            outbox_bytes=self._used,
            clock_ahead_s=self._clock_ahead_s(),
            counters=self._outbox.counters(),
        )
        self._append(health)

    def _cloud_time(self) -> int:
        """What the cloud's clock shows, as far as we know: by that a command expires, however wrong our own is."""
        return _wall() - (self._conversation.cloud_clock.ahead(time.monotonic()) or 0)

    def _clock_ahead_s(self) -> float | None:
        ahead = self._conversation.cloud_clock.ahead(time.monotonic())
        return None if ahead is None else round(ahead / 1e6, 3)

    def _append(self, record: Health | Heartbeat) -> None:
        try:
            self._outbox.append([record])
        except OutboxError as error:
            _log.error("outbox.full", reason=str(error))


def software() -> str:
    """Name and version of what runs here."""
    try:
        return f"vedette {version('vedette')}"
    except PackageNotFoundError:
        return "vedette"


@contextmanager
def _http(config: NodeConfig, interface: Callable[[], str]) -> Iterator[httpx.Client]:
    uplink = config.uplink
    verify: Any = True if uplink.ca_file is None else str(uplink.ca_file)
    headers = basic_auth(config.site, config.node, uplink.secret())
    transport = FollowingTransport(uplink.interfaces, interface, verify) if uplink.interfaces else None
    with httpx.Client(
        base_url=uplink.cloud, headers=headers, verify=verify, timeout=30.0, transport=transport
    ) as client:
        yield client


def _start_updates(
    config: NodeConfig, paths: NodePaths, mailbox: Notices, stack: ExitStack, stop: threading.Event
) -> Callable[[], None] | None:
    """Start the update client; what wakes it, or None where the node takes no releases."""
    if config.trust is None:
        return None
    poke = threading.Event()
    from edge.updates.client import UpdateClient  # python-tuf need not be there on a node without releases

    def tell(staged: ReleaseStaged) -> None:
        mailbox.send("vision", staged)

    client = UpdateClient(config, paths, _wall)
    _thread(stack, "updates", client.run, stop, poke, tell)
    stack.callback(poke.set)
    return poke.set


def _thread(stack: ExitStack, name: str, target: Any, stop: threading.Event, *arguments: Any) -> None:
    """A thread that ends with the stack. What goes wrong in it must not cost the alarms their way out."""

    def keep_running() -> None:
        while not stop.is_set():
            try:
                target(stop, *arguments)
            except Exception:  # noqa: BLE001 - whatever it is, delivery goes on
                _log.exception("thread.failed", thread=name, again_in_s=_THREAD_PAUSE_S)
                stop.wait(_THREAD_PAUSE_S)

    thread = threading.Thread(target=keep_running, name=name, daemon=True)

    def end() -> None:
        stop.set()
        thread.join(_THREAD_END_S)

    stack.callback(end)
    thread.start()


def _wall() -> int:
    return time.time_ns() // 1000
