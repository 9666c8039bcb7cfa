"""Evidence on disk: kept whole under its own name, or not at all."""

import hashlib
import time
from pathlib import Path

import pytest

from cloud.evidence.store import ContentError, DiskStore, OffsetError

DATA = b"\xff\xd8 a picture " * 10_000
NAME = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path)


def send(store: DiskStore, data: bytes, name: str = NAME, sender: str = "demo/gate") -> None:
    with store.upload(name, sender, 0, len(data)) as upload:
        upload.write(data)
        upload.finish()


def test_a_whole_file_is_kept_under_its_hash(store: DiskStore) -> None:
    assert store.size(NAME) is None
    send(store, DATA)
    path = store.local(NAME)
    assert path is not None
    assert path.read_bytes() == DATA
    assert store.size(NAME) == len(DATA)
    assert store.received(NAME, "demo/gate") == len(DATA)


def test_an_upload_that_was_cut_goes_on_where_it_stopped(store: DiskStore) -> None:
    with store.upload(NAME, "demo/gate", 0, len(DATA)) as upload:
        upload.write(DATA[:70_000])
    assert store.received(NAME, "demo/gate") == 70_000
    with store.upload(NAME, "demo/gate", 70_000, len(DATA)) as upload:
        upload.write(DATA[70_000:])
        upload.finish()
    assert store.size(NAME) == len(DATA)


def test_a_wrong_offset_is_told_the_right_one(store: DiskStore) -> None:
    with store.upload(NAME, "demo/gate", 0, len(DATA)) as upload:
        upload.write(DATA[:10])
    with pytest.raises(OffsetError) as caught, store.upload(NAME, "demo/gate", 7, len(DATA)):
        pass
    assert caught.value.offset == 10


def test_other_bytes_than_the_name_says_are_thrown_away(store: DiskStore) -> None:
    with pytest.raises(ContentError, match=NAME):
        send(store, b"something else")
    assert store.size(NAME) is None
    assert store.received(NAME, "demo/gate") == 0
    send(store, DATA)
    assert store.size(NAME) == len(DATA)


def test_one_nodes_rubbish_does_not_spoil_anothers_upload(store: DiskStore) -> None:
    with store.upload(NAME, "demo/yard", 0, len(DATA)) as upload:
        upload.write(b"rubbish")
    send(store, DATA, sender="demo/gate")
    assert store.size(NAME) == len(DATA)


def test_two_requests_at_the_same_file_do_not_mix(store: DiskStore) -> None:
    with store.upload(NAME, "demo/gate", 0, len(DATA)) as first:
        first.write(DATA[:10])
        with pytest.raises(OffsetError, match="another request"), store.upload(NAME, "demo/gate", 0, len(DATA)):
            pass
        first.write(DATA[10:])
        first.finish()
    assert store.size(NAME) == len(DATA)


def test_the_same_file_twice_is_kept_once(store: DiskStore) -> None:
    send(store, DATA)
    send(store, DATA)
    assert store.size(NAME) == len(DATA)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "ab", ""])
def test_only_a_hash_is_a_name(store: DiskStore, name: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        store.local(name)


def test_what_was_complete_when_the_power_went_is_kept_when_the_node_asks(store: DiskStore) -> None:
    with store.upload(NAME, "demo/gate", 0, len(DATA)) as upload:
        upload.write(DATA)
    assert store.size(NAME) is None
    assert store.received(NAME, "demo/gate") == len(DATA)
    assert store.size(NAME) == len(DATA)


def test_an_upload_that_claims_to_be_shorter_than_what_came_starts_again(store: DiskStore) -> None:
    with store.upload(NAME, "demo/gate", 0, 2 * len(DATA)) as upload:
        upload.write(DATA + b"more")
    with pytest.raises(OffsetError) as caught, store.upload(NAME, "demo/gate", len(DATA), len(DATA)):
        pass
    assert caught.value.offset == 0
    send(store, DATA)


def test_an_abandoned_upload_does_not_lie_about_for_ever(store: DiskStore) -> None:
    with store.upload(NAME, "demo/gate", 0, len(DATA)) as upload:
        upload.write(DATA[:100])
    assert store.forget_abandoned(3600, time.time()) == 0
    assert store.forget_abandoned(3600, time.time() + 7200) == 1
    assert store.received(NAME, "demo/gate") == 0
