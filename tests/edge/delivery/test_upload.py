"""Evidence reaches the cloud whole, newest first, whatever happens on the way."""

import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edge.delivery.outbox import Outbox
from edge.delivery.upload import MAX_REFUSALS, PIECE_BYTES, Uploader, basic_auth
from edge.delivery.uploads import UploadQueue
from edge.evidence.files import EvidenceFiles
from tests.edge.delivery.samples import PLENTY, START, Clock, evidence
from tests.edge.delivery.servers import EvidenceServer, evidence_server

NEVER = threading.Event()


class Box:
    """An outbox, a folder and an uploader, whose clock goes when it is told to."""

    def __init__(self, outbox: Outbox, folder: Path, url: str) -> None:
        self.clock = Clock(0)
        self.queue = UploadQueue(outbox)
        self.files = EvidenceFiles(folder, PLENTY)
        self.http = httpx.Client(base_url=url, headers=basic_auth("square", "box", "secret"), timeout=5.0)
        self._outbox = outbox
        self.uploader = self.fresh()

    def fresh(self) -> Uploader:
        """An uploader that knows nothing, as after a restart."""
        self.uploader = Uploader(self.http, self.queue, self.files, lambda: self.clock.now / 1e6, random.Random(1))
        return self.uploader

    def show(self, content: bytes, time: int = START) -> str:
        sha256, size = self.files.add(content)
        self._outbox.append([evidence(sha256, time=time, size=size)])
        return sha256

    def work(self, seconds: float = 0.0) -> None:
        """Upload what is due, now and in the next ``seconds``."""
        end = self.clock.now + seconds * 1e6
        while True:
            while self.uploader.step(NEVER):
                pass
            if self.clock.now >= end:
                return
            self.clock.pass_s(1.0)


@pytest.fixture
def server() -> Iterator[EvidenceServer]:
    with evidence_server() as running:
        yield running


@pytest.fixture
def box(outbox: Outbox, tmp_path: Path, server: EvidenceServer) -> Iterator[Box]:
    box = Box(outbox, tmp_path / "evidence", server.url)
    yield box
    box.http.close()


def test_the_newest_evidence_goes_first_and_leaves_the_box(box: Box, server: EvidenceServer) -> None:
    names = [box.show(f"picture {age}".encode(), START - age) for age in (3, 1, 2)]
    box.work()
    assert server.order == [names[1], names[2], names[0]]
    assert server.kept[names[0]] == b"picture 3"
    assert box.files.total_bytes() == 0
    assert box.queue.pending() == []
    assert box.uploader.uploaded == 3


def test_a_broken_upload_goes_on_where_it_was_cut(box: Box, server: EvidenceServer) -> None:
    content = random.Random(1).randbytes(3 * PIECE_BYTES + 17)
    sha256 = box.show(content)
    server.cut_after = 2
    box.work()
    assert box.files.path(sha256).exists()
    assert len(server.partial[sha256]) == 2 * PIECE_BYTES
    server.cut_after = None
    before = server.requests
    box.fresh()
    box.work()
    assert server.kept[sha256] == content
    assert server.requests - before == 3  # one question, two pieces


def test_a_file_the_cloud_has_already_is_not_sent_again(box: Box, server: EvidenceServer) -> None:
    server.kept[hashlib.sha256(b"known").hexdigest()] = b"known"
    box.show(b"known")
    box.work()
    assert server.requests == 1
    assert box.files.total_bytes() == 0


def test_an_unreachable_cloud_is_asked_less_and_less_often(box: Box, server: EvidenceServer) -> None:
    sha256 = box.show(b"picture")
    server.answers = [503] * 1000
    box.work(600)
    assert 8 < server.requests < 25
    assert "503" in box.uploader.reason
    server.answers = []
    box.work(120)
    assert sha256 in server.kept
    assert box.uploader.reason == ""


@pytest.mark.parametrize("status", [401, 404, 409, 429, 500])
def test_what_says_nothing_against_the_file_is_tried_for_ever(box: Box, server: EvidenceServer, status: int) -> None:
    sha256 = box.show(b"picture")
    server.answers = [status] * 40
    box.work(3000)
    assert sha256 in server.kept


def test_a_file_the_cloud_refuses_is_given_up_counted_and_named(
    box: Box, server: EvidenceServer, outbox: Outbox
) -> None:
    refused = box.show(b"too large", START + 1)
    server.answers = [413] * MAX_REFUSALS
    box.work(600)
    assert box.queue.pending() == []
    assert not box.files.path(refused).exists()
    assert outbox.counters()["uploads_refused"] == 1
    assert refused[:12] in box.uploader.reason
    assert "413" in box.uploader.reason


def test_a_file_that_vanished_is_counted_and_does_not_hold_up_the_rest(
    box: Box, server: EvidenceServer, outbox: Outbox
) -> None:
    gone = box.show(b"gone", START + 1)
    box.files.remove(gone)
    kept = box.show(b"kept")
    box.work()
    assert server.order == [kept]
    assert outbox.counters()["uploads_vanished"] == 1


def test_a_file_changed_on_the_disk_is_not_taken_for_evidence(box: Box, server: EvidenceServer) -> None:
    sha256 = box.show(b"true")
    box.files.path(sha256).write_bytes(b"false")
    box.work(600)
    assert server.kept == {}
    assert box.queue.pending() == []


def test_an_upload_stops_between_two_pieces(box: Box, server: EvidenceServer) -> None:
    box.show(b"x" * (2 * PIECE_BYTES))
    stop = threading.Event()
    stop.set()
    assert box.uploader.step(stop)
    assert server.kept == {}
    assert len(box.queue.pending()) == 1


def test_the_node_shows_its_name_and_secret(box: Box, server: EvidenceServer) -> None:
    box.show(b"picture")
    box.work()
    assert server.authorization == {httpx.BasicAuth("square/box", "secret")._auth_header}
