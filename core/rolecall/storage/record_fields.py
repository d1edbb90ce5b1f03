"""How the fields of a journal's records are read from JSON; whatever is wrong is a ValueError."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import fields

from ..types.agents import Balance
from ..types.causes import Cause
from ..types.consent import Consent
from ..types.messages import Stop
from ..types.parts import Part, from_json
from ..types.verification import Check
from ..usage import Usage

LARGEST = 1e15  # of a number: beyond it floats count no longer in ones


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {value!r}")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not _is_sane(value):
        raise ValueError(f"must be a whole number, not {str(value)[:50]!r}")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not _is_sane(value):
        raise ValueError(f"must be a number, not {str(value)[:50]!r}")
    return value


def _positive_or_none(value: object) -> float | None:
    """Take what nothing can have cost or taken for unknown; vendors' replies once led to such."""
    number = None if value is None else _number(value)
    return number if number is None or number >= 0 else None


def _is_sane(number: float) -> bool:
    return -LARGEST < number < LARGEST  # what is no number or infinite is not


def _cause(value: object) -> Cause:
    if not isinstance(value, str) or value not in list(Cause):
        raise ValueError(f"must be a cause, not {value!r}")
    return Cause(value)


def _stop(value: object) -> Stop:
    if not isinstance(value, str) or value not in list(Stop):
        raise ValueError(f"must say why a model stopped, not {value!r}")
    return Stop(value)


def _consent(value: object) -> Consent:
    if not isinstance(value, str) or value not in list(Consent):
        raise ValueError(f"must be what an operator answers, not {value!r}")
    return Consent(value)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(_text, _listed(value)))


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list, not {value!r}")
    return value


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a table, not {value!r}")
    return value


def _text_by_name(value: object) -> dict[str, str]:
    return {name: _text(text) for name, text in _table(value).items()}


def _seconds_by_reason(value: object) -> tuple[tuple[str, float], ...]:
    pairs = [_listed(pair) for pair in _listed(value)]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"must be a list of pairs, not {value!r}")
    return tuple((_text(reason), _number(seconds)) for reason, seconds in pairs)


def _usage(value: object) -> Usage:
    counts = _table(value)
    names = [attribute.name for attribute in fields(Usage)]
    return Usage(**{name: _whole(counts[name]) for name in names if name in counts})


def _parts(value: object) -> tuple[Part, ...]:
    return tuple(map(from_json, _listed(value)))


def _checks(value: object) -> tuple[Check, ...]:
    return tuple(_check(_table(each)) for each in _listed(value))


def _check(values: Mapping[str, object]) -> Check:
    parsers: Mapping[str, Callable[[object], Any]] = {
        "command": _text,
        "code": _whole,
        "output": _text,
        "seconds": _number,
        "stopped": _text,
    }
    missing = parsers.keys() - values.keys()
    if missing:
        raise ValueError(f"must be a check, and has no {min(missing)}")
    return Check(**{name: parse(values[name]) for name, parse in parsers.items()})


def _balance(value: object) -> Balance:
    if value not in list(Balance):
        raise ValueError(f"must be a rule of balancing, not {value!r}")
    return Balance(str(value))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")
    return value


def _or_none(parser: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else parser(value)


# By the type that a field is declared with.
PARSERS: Mapping[Any, Callable[[object], Any]] = {
    str: _text,
    int: _whole,
    float: _number,
    Stop: _stop,
    Consent: _consent,
    Balance: _balance,
    Usage: _usage,
    str | None: _or_none(_text),
    float | None: _positive_or_none,
    Cause | None: _or_none(_cause),
    tuple[str, ...]: _texts,
    Mapping[str, str]: _text_by_name,
    tuple[tuple[str, float], ...]: _seconds_by_reason,
    tuple[Part, ...]: _parts,
    tuple[Check, ...]: _checks,
    bool: _flag,
    Mapping[str, Any]: _table,
}
