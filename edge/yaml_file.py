"""YAML files that people write: read safely, and a key that stands twice is an error instead of a silent loss."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml


class YamlError(ValueError):
    """The file cannot be used; the text names it, the line and the fault."""


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, with unique keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} stands there twice; only one would count", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path) -> dict[Any, Any]:
    """The settings in a YAML file.

    Raises:
        YamlError: unreadable, not text, not YAML, or not a mapping.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise YamlError(f"{path} cannot be read: {error.strerror}; name another with -c") from None
    except UnicodeDecodeError:
        raise YamlError(f"{path} is not a text file in UTF-8") from None
    try:
        raw = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise YamlError(f"{path}{line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise YamlError(f"{path}: not YAML: a character or value that cannot be read") from None
    if not isinstance(raw, dict):
        raise YamlError(f"{path} holds no settings; it must begin with 'node:' and 'site:'")
    return raw
