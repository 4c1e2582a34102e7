"""Retention rules of config.toml, or of the command line."""

import re
from datetime import timedelta
from typing import Any, Final, NamedTuple

from khive_persist.errors import InvalidSettingsError

_AGE: Final = re.compile(r"(\d{1,6})([hdw])\Z")
_AGE_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}
_BYTES: Final = re.compile(r"(\d{1,15})(B|KB|MB|GB|TB)?\Z")
_BYTE_UNITS: Final = {None: 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_ANY: Final = "*"


class Rule(NamedTuple):
    """The limits for the records of one purpose; None sets no limit.

    Attributes:
        purpose: The name of the purpose, or `*` for each that no rule before it names.
        keep_age: Records that are older go.
        keep_count: The number of newest records that stay.
        keep_bytes: Only the newest stay whose JSON columns hold so many bytes together.
        keep_payload_age: Events that are older lose their payload, and keep all other fields.
    """

    purpose: str = _ANY
    keep_age: timedelta | None = None
    keep_count: int | None = None
    keep_bytes: int | None = None
    keep_payload_age: timedelta | None = None


def parse(text: str) -> Rule:
    """Parse a rule of config.toml: `claude_hooks keep_age=90d keep_payload_age=14d`.

    Raises:
        InvalidSettingsError: It is none.
    """
    purpose, *limits = text.split() or [""]
    values: dict[str, Any] = {"purpose": purpose}
    for limit in limits:
        name, separator, value = limit.partition("=")
        if name not in Rule._fields[1:] or not separator or name in values:
            raise InvalidSettingsError(
                f"retention.rules: {text!r}: {limit!r} is no limit",
                hint="write keep_age=90d, keep_count=10000, keep_bytes=2GB or keep_payload_age=14d",
            )
        values[name] = _PARSERS[name](value)
    if len(values) == 1:
        raise InvalidSettingsError(f"retention.rules: {text!r} sets no limit")
    return Rule(**values)


def age(text: str) -> timedelta:
    """Parse an age: `90d`, `12h` or `8w`.

    Raises:
        InvalidSettingsError: It is none.
    """
    match = _AGE.match(text)
    if match is None:
        raise InvalidSettingsError(f"{text!r} is no age", hint="write 12h, 90d or 8w")
    return timedelta(**{_AGE_UNITS[match[2]]: int(match[1])})


def count(text: str) -> int:
    """Parse a whole number.

    Raises:
        InvalidSettingsError: It is none.
    """
    if not text.isdecimal() or not text.isascii():
        raise InvalidSettingsError(f"{text!r} is no count", hint="write a whole number")
    return int(text)


def size(text: str) -> int:
    """Parse a number of bytes: `500MB`, `2GB` or digits; the units are powers of 1,000.

    Raises:
        InvalidSettingsError: It is none.
    """
    match = _BYTES.match(text)
    if match is None:
        raise InvalidSettingsError(f"{text!r} is no size", hint="write 500MB, 2GB or a number")
    return int(match[1]) * _BYTE_UNITS[match[2]]


def rule_of(rules: tuple[Rule, ...], purpose: str) -> Rule | None:
    """Return the rule that holds for a purpose: the first that names it, else the first for all."""
    names = (purpose, _ANY)
    return next((rule for name in names for rule in rules if rule.purpose == name), None)


_PARSERS: Final = dict(zip(Rule._fields[1:], (age, count, size, age), strict=True))
