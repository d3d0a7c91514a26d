"""Nested dataclasses from plain mappings: every key known, every value of its type."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class RecipeError(ValueError):
    """A recipe that says something it cannot mean."""


def build(kind: type[T], values: Any, *, where: str = "") -> T:
    """A dataclass from a mapping; `where` is the dotted path to it, for messages."""
    if not isinstance(values, Mapping):
        raise RecipeError(f"{where or 'a recipe'} must be a mapping of keys, not {values!r}")
    hints = get_type_hints(kind)
    for key in values:
        require_known(key, hints, what="key", where=where)
    fields = {
        name: convert(value, hints[name], where=f"{where}.{name}" if where else name)
        for name, value in values.items()
    }
    try:
        return kind(**fields)
    except TypeError as error:
        missing = str(error).rpartition(": ")[2]
        raise RecipeError(f"{where or 'the recipe'} lacks {missing}") from None


def require_known(key: Any, known: Iterable[str], *, what: str, where: str = "") -> None:
    """Refuse a name nobody knows, with the nearest one that somebody does."""
    known = list(known)
    if key in known:
        return
    near = difflib.get_close_matches(str(key), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    raise RecipeError(f"unknown {what} {key!r}{f' in {where}' if where else ''}; {hint}")


def require_range(values: Any, where: str, least: float, *names: str) -> None:
    """Refuse fields below the least value that they can have; None is no value."""
    for name in names:
        value = getattr(values, name)
        if value is not None and not value >= least:
            key = f"{where}.{name}" if where else name
            raise RecipeError(f"{key} must be at least {least}, not {value}")


def convert(value: Any, hint: Any, *, where: str) -> Any:
    """The value as the annotated type, where that loses nothing."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_optional(value, arguments, where=where)
    if origin is Literal:
        if value not in arguments:
            require_known(value, [str(each) for each in arguments], what="value", where=where)
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, where=where)
    if origin in (list, tuple):
        if not isinstance(value, (list, tuple)):
            raise RecipeError(f"{where} must be a list, not {value!r}")
        items = [convert(each, arguments[0], where=f"{where}[{i}]") for i, each in enumerate(value)]
        return tuple(items)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where} must be a mapping, not {value!r}")
        return {
            key: convert(each, arguments[1], where=f"{where}.{key}") for key, each in value.items()
        }
    return _convert_plain(value, hint, where=where)


def hint_of(kind: Any, keys: Sequence[str]) -> Any:
    """The annotation of a field of a field of a dataclass, without None; None past dataclasses."""
    for key in keys:
        if not dataclasses.is_dataclass(kind):
            return None
        kind = get_type_hints(kind).get(key)
        if get_origin(kind) in (Union, types.UnionType):
            kind = next(each for each in get_args(kind) if each is not type(None))
    return kind


def _convert_optional(value: Any, arguments: tuple[Any, ...], *, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    chosen = next(each for each in arguments if each is not type(None))
    return convert(value, chosen, where=where)


def _convert_plain(value: Any, hint: type, *, where: str) -> Any:
    if hint is float and type(value) is int:
        return float(value)
    if hint is float and type(value) is float and not math.isfinite(value):
        raise RecipeError(f"{where} must be a finite number, not {value}")
    if hint is int and type(value) is float and value.is_integer():
        return int(value)
    if hint is str and type(value) in (int, float):
        raise RecipeError(f"{where} is text, which YAML reads as the number {value}: quote it")
    if type(value) is not hint:
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        raise RecipeError(f"{where} must be {names.get(hint, hint)}, not {value!r}")
    return value
