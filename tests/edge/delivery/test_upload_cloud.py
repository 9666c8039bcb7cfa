"""A node's uploader and the cloud's own API: evidence comes across, cut or not."""

import random
import threading
from pathlib import Path

import httpx

from edge.delivery.outbox import Outbox
from edge.delivery.upload import PIECE_BYTES, Uploader, basic_auth
from edge.delivery.uploads import UploadQueue
from edge.evidence.files import EvidenceFiles
from tests.cloud.api.conftest import SECRET, Api, api, settings  # noqa: F401
from tests.edge.delivery.samples import PLENTY, evidence


def test_evidence_comes_to_the_cloud_and_leaves_the_box(outbox: Outbox, tmp_path: Path, api: Api) -> None:  # noqa: F811
    files = EvidenceFiles(tmp_path / "box", PLENTY)
    content = random.Random(1).randbytes(3 * PIECE_BYTES + 1)
    sha256, size = files.add(content)
    outbox.append([evidence(sha256, size=size)])
    queue = UploadQueue(outbox)
    with httpx.Client(base_url=api.url, headers=basic_auth("demo", "gate", SECRET)) as http:
        uploader = Uploader(http, queue, files)
        while uploader.step(threading.Event()):
            pass
    assert (uploader.uploaded, uploader.reason) == (1, "")
    assert queue.pending() == []
    assert files.total_bytes() == 0
    assert api.http.get(f"/api/v1/evidence/{sha256}").content == content


def test_a_wrong_secret_keeps_the_evidence_on_the_box(outbox: Outbox, tmp_path: Path, api: Api) -> None:  # noqa: F811
    files = EvidenceFiles(tmp_path / "box", PLENTY)
    sha256, size = files.add(b"picture")
    outbox.append([evidence(sha256, size=size)])
    with httpx.Client(base_url=api.url, headers=basic_auth("demo", "gate", "wrong")) as http:
        uploader = Uploader(http, UploadQueue(outbox), files)
        uploader.step(threading.Event())
    assert "401" in uploader.reason
    assert files.path(sha256).exists()
