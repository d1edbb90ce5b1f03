"""Turns a `[tool.rolecall]` table into settings, or says which key is wrong."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

from attrs import fields

from ..errors import SettingsError, nearest
from ..types.agents import Balance
from ..types.causes import Action, Cause
from .settings import UNSET, AgentSettings, Order, Settings


def structure(table: Mapping[str, Any], source: str = "the settings") -> Settings:
    """Turn a `[tool.rolecall]` table into settings; raise SettingsError naming the key."""
    import cattrs
    from cattrs.gen import make_dict_structure_fn, override

    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (str, bool, int, float):
        converter.register_structure_hook(kind, _strictly)
    for words in (Cause, Action, Order, Balance):
        converter.register_structure_hook(words, _word)
    converter.register_structure_hook_func(lambda kind: kind == tuple[str, ...], _texts)
    of_table = make_dict_structure_fn(AgentSettings, converter, off=override(omit=True))
    converter.register_structure_hook(AgentSettings, partial(_agent, of_table))
    unset: Any = dict.fromkeys(UNSET, override(omit=True))
    converter.register_structure_hook(
        Settings,
        make_dict_structure_fn(
            Settings,
            converter,
            **unset,
        ),
    )
    try:
        return converter.structure(table, Settings)
    except cattrs.BaseValidationError as error:
        path, why = _first(error, ("tool", "rolecall"))
        raise SettingsError(f"{source}: {'.'.join(path)}: {why}") from error


def _first(error: Exception, path: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Return the key path and the reason of the first thing wrong in cattrs' tree of errors."""
    from cattrs import (
        AttributeValidationNote,
        BaseValidationError,
        ForbiddenExtraKeysError,
        IterableValidationNote,
    )

    if isinstance(error, ForbiddenExtraKeysError):
        name = min(error.extra_fields)
        allowed = {f.name for f in fields(error.cl)} - UNSET
        return (*path, name), f"no such setting{nearest(name, allowed)}"
    if not isinstance(error, BaseValidationError):
        return path, str(error) if isinstance(error, ValueError) else "must be a table"
    inner = error.exceptions[0]
    for note in getattr(inner, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            path = (*path, note.name)
        elif isinstance(note, IterableValidationNote):
            path = (*path, str(note.index))
    return _first(inner, path)


def _strictly(value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"must be {_KINDS[kind]}, not {value!r}")
    return value


_KINDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}


def _word(value: Any, words: type[StrEnum]) -> StrEnum:
    if value not in list(words):
        what = words.__name__.lower()
        raise ValueError(
            f"{value!r} is no {what}{nearest(str(value), [str(word) for word in words])}"
        )
    return words(value)


def _agent(of_table: Callable[[Any, Any], AgentSettings], value: Any, kind: Any) -> AgentSettings:
    """Read a whole table, routes alone, or false."""
    if value is False:
        return AgentSettings(off=True)
    if not isinstance(value, str | list | dict):
        raise ValueError(f"must be a route, a list of routes, a table, or false, not {value!r}")
    return of_table(value if isinstance(value, dict) else {"routes": value}, kind)


def _texts(value: Any, _: object) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError(f"must be a text or a list of texts, not {value!r}")
    return tuple(items)
