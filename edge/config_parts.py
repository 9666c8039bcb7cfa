"""What every part of ``node.yaml`` is made of: names, shares, paths, and how a wrong one is told."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, WithJsonSchema

from contract.ids import check_id


class ConfigError(ValueError):
    """``node.yaml`` cannot be used; the text has one line for each fault, none of them with a password in it."""


class Part(BaseModel):
    """Every part of ``node.yaml``: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True, hide_input_in_errors=True
    )


def _from_folder(value: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return Path(folder) / value if folder is not None else value


SourceId = Annotated[
    str,
    AfterValidator(lambda value: check_id(value, "id")),
    WithJsonSchema({"type": "string", "pattern": "^[a-z0-9-]{1,32}$"}),
]
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Point = tuple[Share, Share]
HerePath = Annotated[Path, AfterValidator(_from_folder)]
"""A path; a relative one counts from the folder of ``node.yaml``."""


def redact(url: str) -> str:
    """The URL without user and password, for messages and logs."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rsplit("@", 1)[1]))


def scheme_of(url: str) -> str:
    """What stands before the colon; ``file`` for a path, even one with a colon in it."""
    found = _SCHEME.match(url)
    return found.group(1).lower() if found else "file"


def file_url(url: str, info: ValidationInfo) -> SecretStr:
    """A path, ``file:`` or not, as an absolute one. Raises ValueError where there is none."""
    path = Path(url.removeprefix("file://").removeprefix("file:"))
    if not path.name:
        raise ValueError("names no file")
    return SecretStr(str(_from_folder(path, info)))


def check_unique(names: Sequence[str], what: str) -> None:
    """Raises ValueError for a name that stands there twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{what} {twice[0]!r} stands there twice")


def check_port(url: str) -> int | None:
    """The URL's port, if it has one. Raises ValueError for one that is no port."""
    try:
        return urlsplit(url).port
    except ValueError:
        raise ValueError("has a port that is no number between 1 and 65535") from None
