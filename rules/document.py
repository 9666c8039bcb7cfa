"""YAML documents with the place of everything in them, so that an error names line and column."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import yaml

Path = tuple[str | int, ...]
MOST_PARTS: Final = 20_000
DEEPEST: Final = 20
"""A document with more parts, or deeper ones, is no rule (but perhaps an alias that refers to itself)."""


class RuleError(ValueError):
    """Rules that cannot be used; the text names file, line, column, rule and the way out."""


@dataclass(frozen=True)
class Document:
    """One YAML document: its text, its value, and where each part of it begins (from 1)."""

    file: str
    text: str
    value: Any
    places: dict[Path, tuple[int, int, str]]
    """Line, column and style (``|``, ``>``, quotes or nothing) of the value at each path."""

    def error(self, path: Path, problem: str, line: int = 1, column: int = 1) -> RuleError:
        """An error at ``path``; ``line`` and ``column`` lie within the text at that path."""
        known = path
        while known and known not in self.places:
            known = known[:-1]
        row, start, style = self.places.get(known, (1, 1, ""))
        if known == path:
            if style and style in "|>":
                row, start = row + line, column
            elif line == 1:
                start += column - 1 + (1 if style else 0)
            else:
                row, start = row + line - 1, column
        name = self.value.get("rule", "?") if isinstance(self.value, dict) else "?"
        place = ".".join(str(step) for step in path)
        return RuleError(f"{self.file}:{row}:{start}: rule {name!r}: {place + ': ' if place else ''}{problem}")


def read_documents(text: str, file: str) -> list[Document]:
    """Every document of a YAML text.

    Raises:
        RuleError: not YAML, a key twice, or a document that is no mapping.
    """
    try:
        nodes = [node for node in yaml.compose_all(text, yaml.SafeLoader) if node is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise RuleError(f"{file}{where}: not YAML: {error.problem}; check indentation and quotes") from None
    except yaml.YAMLError as error:
        raise RuleError(f"{file}: not YAML: {error}") from None
    documents = []
    for node in nodes:
        places: dict[Path, tuple[int, int, str]] = {}
        _locate(node, (), places, file)
        own = text[node.start_mark.index : node.end_mark.index].strip()
        try:
            value = yaml.SafeLoader("").construct_document(node)
        except (yaml.YAMLError, ValueError) as error:
            line, column, _ = places[()]
            problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
            raise RuleError(f"{file}:{line}:{column}: not YAML: {problem}") from None
        document = Document(file, own, value, places)
        if not isinstance(value, dict):
            raise document.error((), "is no rule; a rule begins with 'rule: name'")
        documents.append(document)
    return documents


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What to say of a key nobody knows."""
    names = sorted(known)
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return f"unknown key {key!r}; " + (f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(names)}")


def _locate(node: yaml.Node, path: Path, places: dict[Path, tuple[int, int, str]], file: str) -> None:
    if len(places) >= MOST_PARTS or len(path) >= DEEPEST:
        row, start = node.start_mark.line + 1, node.start_mark.column + 1
        raise RuleError(f"{file}:{row}:{start}: too large or too deep for a rule; does an alias refer to itself?")
    style = getattr(node, "style", None) if isinstance(node, yaml.ScalarNode) else None
    places[path] = (node.start_mark.line + 1, node.start_mark.column + 1, style or "")
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            place = f"{file}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise RuleError(f"{place}: a key is a word, not a list or a mapping")
            if key.value in seen:
                raise RuleError(f"{place}: key {key.value!r} stands here twice; remove one")
            seen.add(key.value)
            _locate(value, (*path, str(key.value)), places, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _locate(value, (*path, index), places, file)
