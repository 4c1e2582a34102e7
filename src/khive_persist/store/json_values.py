"""Values that JSON spells and a plain parser or writer does not hold, each as what is written."""

import json
import math
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final

import orjson

from khive_persist import clock

# Python's own limit between text and integers, where a program has not lowered it.
MAX_INTEGER_DIGITS: Final = min(4_300, sys.get_int_max_str_digits() or 4_300)


class Raw:
    """JSON text that stands in a larger document as it is."""

    def __init__(self, text: str) -> None:
        self.text = text


class Overflow(float):
    """A number that JSON spells and a float cannot hold, as 1e400: infinite, with its spelling."""

    text: str

    def __new__(cls, text: object) -> "Overflow":
        overflow = super().__new__(cls, str(text))
        overflow.text = str(text)
        return overflow


def is_plain(number: float) -> bool:
    """Return whether JSON and 64 bits can hold a number."""
    return math.isfinite(number) if isinstance(number, float) else -(2**63) <= number < 2**63


def plain(value: Any) -> Any:
    """Return what orjson writes in the place of a value that it does not know.

    Raises:
        TypeError: It has no JSON.
    """
    if isinstance(value, Raw):
        return orjson.Fragment(value.text)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError("a float cannot hold it")
        return float(value)
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, PurePath):
        return str(value)
    # Not before: the drainer and most commands do without pydantic.
    from pydantic import BaseModel
    from pydantic_core import PydanticSerializationError

    from khive_persist.models.model_json import model_json

    if not isinstance(value, BaseModel):
        raise TypeError(f"{type(value).__name__} is not JSON")
    try:
        return model_json(value)
    except PydanticSerializationError as error:
        raise TypeError(f"{type(value).__name__} is not JSON ({error})") from error


def kept(value: Any) -> Any:
    """Return what `plain` does; a number beyond a float stands as it was spelled."""
    return orjson.Fragment(value.text) if isinstance(value, Overflow) else plain(value)


def shown(value: Any) -> Any:
    """Return what `plain` does, or text: of a number beyond a float, and of what has no JSON.

    A NamedTuple stands as the object of its fields, an instant in it as files spell it.
    """
    if isinstance(value, Overflow):
        return value.text
    if hasattr(value, "_asdict"):
        fields = value._asdict().items()
        return {n: clock.to_text(v) if isinstance(v, datetime) else v for n, v in fields}
    try:
        return plain(value)
    except TypeError:
        return str(value)


def number(value: Decimal) -> Any:
    """Return a Decimal as a number of JSON where that gives the same one back, else as text.

    SQL compares it as the number that it is.
    """
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value() and value.adjusted() < MAX_INTEGER_DIGITS:
        return orjson.Fragment(str(int(value)))
    nearest = float(value)
    is_same = math.isfinite(nearest) and Decimal(repr(nearest)) == value
    return nearest if is_same else str(value)


def spelled(value: Any) -> Any:
    """Return a value whose integers beyond 64 bits are JSON text."""
    if isinstance(value, int) and not isinstance(value, bool) and not is_plain(value):
        return orjson.Fragment(str(int(value)))
    if isinstance(value, dict):
        return {key: spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spelled(item) for item in value]
    if value is None or isinstance(value, str | int | float | Decimal | Raw):
        return value
    try:
        return orjson.Fragment(orjson.dumps(value, default=plain))
    except TypeError:
        return spelled(plain(value))


def writable(value: Any) -> Any:
    """Return a value of types that `json` writes, without NaN or infinity."""
    if isinstance(value, Raw):
        return writable(json.loads(value.text, parse_int=parse_integer, parse_float=parse_float))
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if isinstance(value, Overflow):
            return value.text
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {
            key if isinstance(key, str) else str(key): writable(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple) and not hasattr(value, "_asdict"):
        return [writable(item) for item in value]
    replaced = shown(value)
    if isinstance(replaced, orjson.Fragment):
        return json.loads(orjson.dumps(replaced))
    return writable(replaced)


def parse_integer(digits: str) -> int | float:
    """Read an integer of JSON; one of more digits than Python reads is an `Overflow`."""
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else Overflow(digits)


def parse_float(text: str) -> float:
    """Read a number of JSON with a fraction or an exponent; beyond a float, an `Overflow`."""
    number = float(text)
    return number if math.isfinite(number) else Overflow(text)
