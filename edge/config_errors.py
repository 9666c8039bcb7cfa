"""Faults in ``node.yaml``, in words: the place, the value where it is no secret, and the way out."""

import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

_SECRET: Final = ("url", "password", "username")
_WANTED_PART: Final = ("model_type", "model_attributes_type", "dict_type", "tuple_type")


def explain(path: Path, fault: Mapping[str, Any], root: type[BaseModel]) -> str:
    """One fault as one line.

    Args:
        path: of the file.
        fault: one of ``ValidationError.errors()``.
        root: what the whole file is validated as.
    """
    place = [step for step in fault["loc"] if step != "[key]"]
    shown = ".".join(str(step) for step in place)
    where = f"{path}: {shown}" if shown else str(path)
    kind = fault["type"]
    if kind == "extra_forbidden":
        return f"{where}: unknown key{_nearest(str(place[-1]), keys_at(root, place[:-1]))}"
    if kind == "missing":
        return f"{where}: is missing; add it"
    if kind in _WANTED_PART:
        known = keys_at(root, place)
        hint = f" with the keys {', '.join(known)}" if known else ""
        return f"{where}: is no {'list' if kind == 'tuple_type' else 'part of its own'}; write one below it{hint}"
    text = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {text}{_value(place, fault.get('input'))}"


def keys_at(root: type[BaseModel], place: list[str | int]) -> list[str]:
    """The keys that are known at a place of the file; none where it holds no part."""
    here: Any = root
    for step in place:
        here = _below(here, step)
    part = _part_of(here)
    return sorted(field.alias or name for name, field in part.model_fields.items()) if part is not None else []


def _nearest(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _value(place: list[str | int], value: Any) -> str:
    """The value, unless it could be a secret or is no simple one."""
    secret = any(word in str(step) for step in place for word in _SECRET)
    if secret or not isinstance(value, str | int | float) or "@" in str(value) or len(str(value)) > 60:
        return ""
    return f" (is {value!r})"


def _below(annotation: Any, step: str | int) -> Any:
    """What is expected one step further down: a part's field, a mapping's value, a list's item."""
    part = _part_of(annotation)
    if part is not None:
        found = (field for name, field in part.model_fields.items() if str(step) in (name, field.alias))
        return next((field.annotation for field in found), None)
    for choice in _choices(annotation):
        arguments = typing.get_args(choice)
        if typing.get_origin(choice) is dict:
            return arguments[1]
        if typing.get_origin(choice) is tuple:
            return arguments[0]
    return None


def _part_of(annotation: Any) -> type[BaseModel] | None:
    for choice in _choices(annotation):
        if isinstance(choice, type) and typing.get_origin(choice) is None and issubclass(choice, BaseModel):
            return choice
    return None


def _choices(annotation: Any) -> list[Any]:
    """The types of a union, without what ``Annotated`` adds."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _choices(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [found for choice in typing.get_args(annotation) for found in _choices(choice)]
    return [annotation]
