"""A node's uploader and the cloud's own API: evidence comes across, cut or not."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from cloud.api.serve import run
from cloud.identity.nodes import hash_secret
from cloud.settings import CloudSettings
from edge.delivery.outbox import Outbox
from edge.delivery.upload import PIECE_BYTES, Uploader, basic_auth
from edge.delivery.uploads import UploadQueue
from edge.evidence.files import EvidenceFiles
from tests.conftest import RunningBroker, free_port
from tests.edge.delivery.samples import PLENTY, evidence

SECRET = "correct-horse"


@pytest.fixture
def url(database: str, broker: RunningBroker, tmp_path: Path) -> Iterator[str]:
    """The API, serving, with one node enrolled."""
    settings = CloudSettings(
        database=database,
        broker=broker.url,
        broker_username=broker.username,
        broker_password=SecretStr(broker.password),
        evidence=tmp_path / "cloud",
        tuf=tmp_path / "tuf",
        keys=tmp_path / "keys",
        listen=f"127.0.0.1:{free_port()}",
    )
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO node (site, node, partition, secret_hash) VALUES ('demo', 'gate', 3, %s)",
            [hash_secret(SECRET)],
        )
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, stop))
    thread.start()
    try:
        url = f"http://{settings.listen}"
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as http:
            while http.get(f"{url}/healthz").status_code == 503:
                pass
        yield url
    finally:
        stop.set()
        thread.join()


def test_evidence_comes_to_the_cloud_and_leaves_the_box(outbox: Outbox, tmp_path: Path, url: str) -> None:
    files = EvidenceFiles(tmp_path / "box", PLENTY)
    content = random.Random(1).randbytes(3 * PIECE_BYTES + 1)
    sha256, size = files.add(content)
    outbox.append([evidence(sha256, size=size)])
    queue = UploadQueue(outbox)
    with httpx.Client(base_url=url, headers=basic_auth("demo", "gate", SECRET)) as http:
        uploader = Uploader(http, queue, files)
        while uploader.step(threading.Event()):
            pass
        assert http.get(f"/api/v1/evidence/{sha256}").content == content
    assert (uploader.uploaded, uploader.reason) == (1, "")
    assert queue.pending() == []
    assert files.total_bytes() == 0


def test_a_wrong_secret_keeps_the_evidence_on_the_box(outbox: Outbox, tmp_path: Path, url: str) -> None:
    files = EvidenceFiles(tmp_path / "box", PLENTY)
    sha256, size = files.add(b"picture")
    outbox.append([evidence(sha256, size=size)])
    with httpx.Client(base_url=url, headers=basic_auth("demo", "gate", "wrong")) as http:
        uploader = Uploader(http, UploadQueue(outbox), files)
        uploader.step(threading.Event())
    assert "401" in uploader.reason
    assert files.path(sha256).exists()
