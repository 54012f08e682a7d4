"""Settings: from TOML and from ``section.key=value`` into frozen dataclasses, checked on the way.

Each room declares its settings as a standard dataclass; this module knows none of them. Ranges are declared in the
type, ``Annotated[int, annotated_types.Gt(0)]``, or checked in ``__post_init__``, which raises ``ValueError``.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
import hashlib
import json
import math
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import pydantic

from lrdgraph.errors import ConfigError, nearest

S = TypeVar("S")
_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a section of settings",
    "dataclass_type": "a section of settings",
}


def read_toml(path: Path | str) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: the file is missing or is not TOML; the message names the line.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))  # editors of Windows write a mark first
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(f"{path} does not exist; check the path.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); name a TOML file.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {str(error).rstrip('.')}; correct it there.") from None


def override(values: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A copy of ``values`` with single settings replaced, e.g. by ``["training.epochs=5", "model.dropout=0.1"]``.

    The part after ``=`` is read as a TOML value; a bare word is a string.

    Raises:
        ConfigError: an assignment has no ``section.key=value`` form, or its value is half a TOML value.
    """
    result = copy.deepcopy(dict(values))
    for assignment in assignments:
        name, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals or not text or not _KEY.fullmatch(name):
            raise ConfigError(
                f"The override '{assignment}' is not of the form section.key=value, as training.epochs=5."
            )
        *sections, key = name.split(".")
        at = result
        for depth, section in enumerate(sections, start=1):
            at = at.setdefault(section, {})
            if not isinstance(at, dict):
                held = ".".join(sections[:depth])
                raise ConfigError(f"The override '{assignment}' needs a section, but '{held}' is the value {at!r}.")
        at[key] = _literal(text, assignment)
    return result


def _literal(text: str, assignment: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        parsed = {}
    if list(parsed) == ["value"]:
        return parsed["value"]
    if text[0] in "\"'[{":
        raise ConfigError(f"The override '{assignment}' has a value that TOML cannot read; close its quote or bracket.")
    return text


def settings(cls: type[S], values: Mapping[str, Any], where: str) -> S:
    """An instance of the dataclass ``cls`` from checked ``values``; what is left out keeps its default.

    Types are strict, except that an integer does for a float, a list for a tuple and a string for a path.

    Args:
        cls: a dataclass of settings.
        values: settings by name; a nested dataclass is a nested mapping.
        where: how a message names the place, e.g. ``"[training]"``.

    Raises:
        ConfigError: an unknown setting (with the nearest known one), a wrong type, a value out of range or not finite,
            or a setting that is needed and missing.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} must be a section of settings, got {_show(values)}.")
    _refuse_unknown(cls, values, where, ())
    try:
        text = json.dumps(values, default=_plain)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where} holds {error}; use only values that TOML can write.") from None
    for place, value in _numbers(json.loads(text)):
        if not math.isfinite(value):
            raise ConfigError(f"{where} '{place}' must be a finite number, got {value}.")
    try:
        # Strict validation takes a mapping for a dataclass, and a list for a tuple, only from JSON.
        return pydantic.TypeAdapter(cls).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        raise ConfigError(_sentence(error.errors(include_url=False), values, where)) from None


def at_least(instance: Any, where: str = "", **bounds: float) -> None:
    """Refuse an instance of settings of which one is below its bound; None has no bound.

    Args:
        instance: of a dataclass of settings.
        where: how a message names the place, e.g. ``"[training] "``.
        bounds: the least value by the name of the setting.

    Raises:
        ConfigError: one is below, or not a number.
    """
    for name, least in bounds.items():
        value = getattr(instance, name)
        if value is not None and not value >= least:
            raise ConfigError(f"{where}{name} is {value}; it must be at least {least}.")


def _numbers(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """Every fractional number within a value of JSON, and where it stands."""
    if isinstance(value, float):
        yield place, value
    elif isinstance(value, dict | list):
        for key, held in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers(held, f"{place}.{key}" if place else str(key))


def _refuse_unknown(hint: Any, value: Any, where: str, path: tuple[str, ...]) -> None:
    """Walk type and value together; pydantic would pass over the unknown keys of a standard dataclass in silence."""
    inner = get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        known = [field.name for field in dataclasses.fields(hint) if field.init]
        for key in value:
            if key not in known:
                name, hint_text = ".".join((*path, str(key))), nearest(str(key), known)
                raise ConfigError(f"{where} has no setting '{name}'{hint_text}; it has {', '.join(known) or 'none'}.")
        hints = get_type_hints(hint)
        for key, held in value.items():
            _refuse_unknown(hints[key], held, where, (*path, key))
    elif get_origin(hint) in (Union, UnionType):
        options = [o for o in inner if dataclasses.is_dataclass(o)] or [o for o in inner if o is not NoneType]
        if len(options) == 1:
            _refuse_unknown(options[0], value, where, path)
    elif inner and isinstance(value, Mapping | list | tuple):
        for key, held in value.items() if isinstance(value, Mapping) else enumerate(value):
            _refuse_unknown(inner[-1 if isinstance(value, Mapping) else 0], held, where, (*path, str(key)))


def _sentence(errors: Sequence[Any], values: Mapping[str, Any], where: str) -> str:
    """The first error in words; the branches of a union count as one error."""
    first, place = errors[0], _place(errors[0], values)
    name, got = ".".join(map(str, place)), _show(first["input"])
    if first["type"] == "missing":
        missing = ".".join(map(str, (*place, first["loc"][-1])))
        return f"{where} needs the setting '{missing}', which is not given; add it."
    subject = f"{where} '{name}'" if name else where
    if first["type"] == "value_error":
        return f"{subject} is wrong: {str(first['ctx']['error']).rstrip('.')}."
    phrases = [_EXPECTED.get(e["type"], e["msg"]) for e in errors if _place(e, values) == place]
    expected = " or ".join(dict.fromkeys(phrase.removeprefix("Input should be ") for phrase in phrases))
    if expected[0].isupper():
        return f"{subject} is wrong: {expected}; got {got}."
    close = nearest(str(first["input"]), re.findall(r"'([^']*)'", expected)) if first["type"] == "literal_error" else ""
    return f"{subject} must be {expected}, got {got}{close}."


def _place(error: Any, values: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Keys and positions from the section down to the value; pydantic's names of union branches are left out."""
    at: Any = values
    place: list[str | int] = []
    for part in error["loc"]:
        inside = at if isinstance(at, Mapping) else range(len(at)) if isinstance(at, list | tuple) else ()
        if part in inside:
            at = at[part]
            place.append(part)
    return tuple(place)


def _show(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def to_dict(instance: Any) -> dict[str, Any]:
    """Settings as values that JSON can hold, from which :func:`settings` makes an equal instance."""
    return {f.name: _jsonable(getattr(instance, f.name)) for f in dataclasses.fields(instance) if f.init}


def config_hash(value: Any) -> str:
    """SHA-256 (hex) of settings or of a mapping of them; the order of keys does not matter."""
    text = json.dumps(_jsonable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _jsonable(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(held) for held in value]
    return value if value is None or isinstance(value, bool | int | float | str) else _plain(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    raise TypeError(f"{_show(value)} of type {type(value).__name__}")
