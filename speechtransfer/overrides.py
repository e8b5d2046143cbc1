"""``--set key=value``: any field of a recipe by its dotted name, converted to the field's own type."""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, TypeVar

from speechtransfer.errors import SettingsError, SpeechTransferError

Value = TypeVar("Value")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def override(value: Value, assignments: Sequence[str]) -> Value:
    """A copy of a dataclass with fields set from ``key=value`` strings, in order.

    Raises:
        SettingsError: no ``=``, an unknown key (the message lists the valid ones), or a value of another type.
    """
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator:
            raise SettingsError(f"--set {assignment}: write key=value.")
        value = _set(value, key.split("."), text, key)
    return value


def keys(value: Any, prefix: str = "") -> list[str]:
    """Every dotted name that can be set."""
    names = []
    for item in fields(value):
        child = getattr(value, item.name)
        names += keys(child, f"{prefix}{item.name}.") if is_dataclass(child) else [prefix + item.name]
    return names


def _set(value: Any, path: list[str], text: str, key: str) -> Any:
    name = path[0]
    hints = typing.get_type_hints(type(value))
    if name not in hints or (len(path) > 1 and not is_dataclass(getattr(value, name))):
        prefix = key.removesuffix(".".join(path))
        raise SettingsError(f"--set {key}: there is no such field. The fields are {', '.join(keys(value, prefix))}.")
    if len(path) > 1:
        return replace(value, **{name: _set(getattr(value, name), path[1:], text, key)})
    try:
        return replace(value, **{name: _convert(text, hints[name])})
    except SpeechTransferError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise SettingsError(f"--set {key}: {text!r} is not {_spelt(hints[name])}.") from error


def _convert(text: str, hint: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if text.lower() in ("none", "") and type(None) in arguments:
            return None
        for option in arguments:
            if option is not type(None):
                try:
                    return _convert(text, option)
                except (ValueError, TypeError, KeyError):
                    continue
        raise ValueError(text)
    if origin is Literal:
        if text not in arguments:
            raise ValueError(text)
        return text
    if origin is tuple:
        return tuple(_convert(piece.strip(), arguments[0]) for piece in text.split(",") if piece.strip())
    if hint is bool:
        return _BOOLEANS[text.lower()]
    if hint in (int, float, str):
        return hint(text)
    raise TypeError(text)


def _spelt(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    return getattr(hint, "__name__", str(hint)) if typing.get_origin(hint) is None else str(hint)


def gathered(arguments: Sequence[str]) -> list[str]:
    """Values of an option that is given several times behind its first mention: the parser keeps the last alone."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for one in arguments:
        if one.startswith("--"):
            name, given, value = one.partition("=")
            found.setdefault(name, []).extend([value] if given else [])
        else:
            found[name].append(one)
    return [each for name, values in found.items() for each in ([name, *values] if name else values)]
