"""The fault of a value that JSON cannot hold: where it lies in the value, and what it is."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import orjson

from khive_persist.store.json_values import Overflow, plain

_MAX_LEVELS: Final = 250


def find_fault(value: Any, path: str = "", level: int = 0) -> str:
    """Return the path of the first part that has no JSON, and why; an empty string for none.

    A value of a type that is not JSON's own, as a date, is not looked into; an `Overflow` has JSON.
    """
    if level > _MAX_LEVELS:
        return f"{path[:80]}…: more than {_MAX_LEVELS} levels"
    if isinstance(value, str):
        return "" if _is_unicode(value) else f"{path or 'it'}: the text has a lone surrogate"
    if isinstance(value, Overflow):
        return ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{path or 'it'}: NaN and infinity are not JSON"
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{path or 'it'}: the key {key!r} is not text"
            if not _is_unicode(key):
                return f"{path or 'it'}: the key {key!r} has a lone surrogate"
            if fault := find_fault(item, f"{path}.{key}" if path else key, level + 1):
                return fault
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            if fault := find_fault(item, f"{path}[{number}]", level + 1):
                return fault
    elif value is not None and not isinstance(value, int):
        return _fault_of_type(value, path, level)
    return ""


def _fault_of_type(value: Any, path: str, level: int) -> str:
    try:
        replaced = plain(value)
    except TypeError as error:
        try:
            orjson.dumps(value)
        except TypeError:
            return f"{path or 'it'}: {error}"
        return ""
    return find_fault(replaced, path, level + 1) if isinstance(replaced, dict | list) else ""


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
