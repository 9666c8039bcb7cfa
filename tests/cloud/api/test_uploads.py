"""Evidence on its way in: cut, resumed, refused, and seen on the page without a reload."""

import hashlib
import itertools
import json
import socket
import time
from base64 import b64encode

import httpx
from websockets.sync.client import connect

from cloud.warnings.lifecycle import apply
from contract.evidence import LENGTH_HEADER, MAX_FILE_BYTES, OFFSET_HEADER, upload_path
from tests.cloud.api.conftest import SECRET, Api, add_event, add_evidence
from tests.cloud.warnings.samples import EPISODE, signal

DATA = b"\xff\xd8\xff" + bytes(range(256)) * 4000
NAME = hashlib.sha256(DATA).hexdigest()
NODE = ("demo/gate", SECRET)


def patch(api: Api, data: bytes, offset: int = 0, length: int = len(DATA), name: str = NAME) -> httpx.Response:
    headers = {OFFSET_HEADER: str(offset), LENGTH_HEADER: str(length)}
    return api.http.patch(upload_path(name), content=data, headers=headers, auth=NODE)


def offset(api: Api, name: str = NAME) -> int:
    answer = api.http.head(upload_path(name), auth=NODE)
    assert answer.status_code == 200
    return int(answer.headers[OFFSET_HEADER])


def test_an_upload_in_pieces_is_kept_and_served(api: Api) -> None:
    add_evidence(api.database, NAME, len(DATA))
    assert offset(api) == 0
    assert patch(api, DATA[:400_000]).headers[OFFSET_HEADER] == "400000"
    assert offset(api) == 400_000
    assert patch(api, DATA[400_000:], 400_000).headers[LENGTH_HEADER] == str(len(DATA))
    assert offset(api) == len(DATA)
    answer = api.http.get(f"/api/v1/evidence/{NAME}")
    assert answer.content == DATA
    assert answer.headers["content-type"] == "image/jpeg"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    part = api.http.get(f"/api/v1/evidence/{NAME}", headers={"Range": "bytes=3-7"})
    assert (part.status_code, part.content) == (206, DATA[3:8])


def test_what_came_before_a_cut_counts(api: Api) -> None:
    host, port = api.settings.listen.split(":")
    credentials = b64encode(":".join(NODE).encode()).decode()
    with socket.create_connection((host, int(port))) as line:
        line.sendall(
            f"PATCH {upload_path(NAME)} HTTP/1.1\r\nHost: {api.settings.listen}\r\n"
            f"Authorization: Basic {credentials}\r\n"
            f"{OFFSET_HEADER}: 0\r\n{LENGTH_HEADER}: {len(DATA)}\r\nContent-Length: {len(DATA)}\r\n\r\n".encode()
            + DATA[:300_000]
        )
        while offset(api) == 0:
            time.sleep(0.01)
    # The server notices the end in its own time; until then the upload is held, and it says so. It also says where to
    # go on, which is before the cut where that took along what had not been read.
    begin = 300_000
    while (answer := patch(api, DATA[begin:], begin)).status_code == 409:
        begin = int(answer.headers[OFFSET_HEADER])
        time.sleep(0.01)
    assert begin > 0
    assert answer.status_code == 204
    assert offset(api) == len(DATA)


def test_a_wrong_offset_is_told_where_to_go_on(api: Api) -> None:
    patch(api, DATA[:10])
    answer = patch(api, DATA[:10])
    assert (answer.status_code, answer.headers[OFFSET_HEADER]) == (409, "10")
    assert "go on from there" in answer.json()["detail"]


def test_other_bytes_than_promised_are_refused_and_forgotten(api: Api) -> None:
    answer = patch(api, bytes(len(DATA)))
    assert answer.status_code == 422
    assert NAME in answer.json()["detail"]
    assert offset(api) == 0
    assert api.http.get(f"/api/v1/evidence/{NAME}").status_code == 404


def test_too_much_is_refused(api: Api) -> None:
    assert patch(api, b"x", length=MAX_FILE_BYTES + 1).status_code == 413
    assert patch(api, DATA, length=100).status_code == 400
    assert patch(api, b"", length=0).status_code == 422


def test_only_a_known_node_uploads(api: Api) -> None:
    wrong = [None, ("demo/gate", "wrong"), ("demo/yard", SECRET), ("gate", SECRET), ("demo/gate", "")]
    for who, method in itertools.product(wrong, ("HEAD", "PATCH")):
        headers = {OFFSET_HEADER: "0", LENGTH_HEADER: str(len(DATA))}
        answer = api.http.request(method, upload_path(NAME), auth=who, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert SECRET not in answer.text


def test_a_file_that_came_before_its_record_is_shown_with_it(api: Api) -> None:
    assert patch(api, DATA).status_code == 204
    add_event(api.database)
    add_evidence(api.database, NAME, len(DATA))
    with api.database.transaction():
        apply(api.database, [signal()], EPISODE)
    assert api.http.get("/api/v1/warnings").json()[0]["evidence"][0]["stored"] is True


def test_the_page_hears_of_a_picture_without_asking(api: Api) -> None:
    add_event(api.database)
    add_evidence(api.database, NAME, len(DATA))
    with api.database.transaction():
        apply(api.database, [signal()], EPISODE)
    with connect(api.live) as page:
        snapshot = json.loads(page.recv())
        assert [file["stored"] for file in snapshot["warnings"][0]["evidence"]] == [False]
        patch(api, DATA)
        changes = json.loads(page.recv(timeout=5))
        assert [file["stored"] for file in changes["warnings"][0]["evidence"]] == [True]


def test_a_node_cannot_make_the_browser_run_its_file(api: Api) -> None:
    page = b"<script>alert(1)</script>"
    name = hashlib.sha256(page).hexdigest()
    add_evidence(api.database, name, len(page), kind="text/html")
    patch(api, page, length=len(page), name=name)
    answer = api.http.get(f"/api/v1/evidence/{name}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
