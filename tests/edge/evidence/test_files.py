"""Evidence is named by what it is, and the folder never outgrows its limit."""

import hashlib
import os
from pathlib import Path

import pytest

from edge.evidence.files import SPARE_BYTES, EvidenceError, EvidenceFiles


@pytest.fixture
def files(tmp_path: Path) -> EvidenceFiles:
    return EvidenceFiles(tmp_path / "evidence", max_bytes=1000)


def test_a_file_is_named_by_its_content(files: EvidenceFiles) -> None:
    sha256, size = files.add(b"picture")
    assert sha256 == hashlib.sha256(b"picture").hexdigest()
    assert size == 7
    assert files.path(sha256).read_bytes() == b"picture"


def test_a_file_given_by_its_path_is_taken_over(files: EvidenceFiles, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"film")
    sha256, size = files.add(clip)
    assert not clip.exists()
    assert size == 4
    assert files.path(sha256).read_bytes() == b"film"


def test_the_same_content_twice_is_one_file(files: EvidenceFiles) -> None:
    assert files.add(b"same") == files.add(b"same")
    assert files.total_bytes() == 4


def test_above_the_limit_the_oldest_go_and_are_counted(files: EvidenceFiles) -> None:
    names = []
    for age, letter in enumerate(b"abcd"):
        names.append(add_aged(files, bytes([letter]) * 300, age))
    assert [files.path(name).exists() for name in names] == [False, True, True, True]
    assert files.evicted == 1


def add_aged(files: EvidenceFiles, data: bytes, age: int) -> str:
    sha256, _ = files.add(data)
    os.utime(files.path(sha256), (age, age))
    return sha256


def test_on_a_full_disk_the_oldest_give_way_to_the_newest(tmp_path: Path) -> None:
    disk = SPARE_BYTES + 1000
    folder = tmp_path / "evidence"
    files = EvidenceFiles(folder, 1 << 30, lambda _: disk - sum(f.stat().st_size for f in folder.iterdir()))
    names = [add_aged(files, bytes([letter]) * 400, age) for age, letter in enumerate(b"abc")]
    assert [files.path(name).exists() for name in names] == [False, True, True]
    with pytest.raises(OSError, match="make room on the disk"):
        files.add(b"x" * 1001)


def test_a_file_above_the_limit_is_kept_alone(files: EvidenceFiles) -> None:
    files.add(b"small")
    sha256, _ = files.add(b"x" * 2000)
    assert files.path(sha256).exists()
    assert files.total_bytes() == 2000


def test_nothing_is_left_of_what_could_not_be_kept(files: EvidenceFiles, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="0 bytes"):
        files.add(b"")
    with pytest.raises(FileNotFoundError):
        files.add(tmp_path / "gone")
    assert list(files.folder.iterdir()) == []


def test_half_written_files_of_the_dead_are_swept(files: EvidenceFiles) -> None:
    dead = files.folder / ".partial-999999999-ab"
    alive = files.folder / f".partial-{os.getpid()}-ab"
    dead.write_bytes(b"x")
    alive.write_bytes(b"x")
    files.sweep()
    assert not dead.exists()
    assert alive.exists()


def test_a_name_that_is_no_hash_leads_nowhere(files: EvidenceFiles) -> None:
    with pytest.raises(ValueError, match=r"\.\./outbox"):
        files.path("../outbox")
    files.remove("0" * 64)
