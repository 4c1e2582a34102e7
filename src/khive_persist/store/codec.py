"""JSON text and values, both ways."""

import base64
import json
import math
import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final

import orjson

from khive_persist import clock
from khive_persist.errors import InvalidRecordError
from khive_persist.store import json_values
from khive_persist.store.json_fault import find_fault
from khive_persist.store.json_values import Overflow as Overflow
from khive_persist.store.json_values import Raw as Raw
from khive_persist.store.json_values import is_plain as is_plain
from khive_persist.store.json_values import parse_float, parse_integer

Row = tuple[str, str | None, str | None, str, str | None]
# As a file has it: an old one spells created_at otherwise, or as a number.
StoredRow = tuple[str, str | None, str | None, str | float | None, str | None]

# SQLite reads at most 1,000 levels of JSON, and orjson 1,024. A payload lies one level deep.
MAX_DEPTH: Final = 990
# orjson makes floats of integers beyond 64 bits. A document that may have one is found by a run of
# so many digits, which ids have, too: an expression is tried there and nowhere else, as over the
# whole of a document it takes twenty times as long as reading that.
_LONG_RUN: Final = b"0" * 19
_DIGITS_TO_ZEROS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_RUN: Final = re.compile(rb"0+")
_LONG_INTEGER: Final = re.compile(rb"(?<![^\[:,\s])(?:-\d{19}|\d{20})\d*(?=[\],}\s]|$)")
_NO_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')
# One without an end goes to the end of the text.
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def dump(value: Any, *, indent: bool = False) -> str:
    """JSON text, compact unless it is to be indented. Integers have any length.

    Decimal, Path, date, UUID, Enum and pydantic models inside stand as their JSON.

    Raises:
        InvalidRecordError: The value holds something that is no JSON: a number that is not finite,
            a lone surrogate, an object, too many levels. The message names its path.
    """
    return _dumped(value, json_values.plain, indent=indent)


def dump_spelled(value: Any) -> str:
    """Return JSON text as `dump` does; a number beyond a float stands as it was spelled."""
    return _dumped(value, json_values.kept)


def dump_lossy(value: Any, *, indent: bool = False) -> str:
    """JSON text of whatever a file held, to be shown. Any reader of JSON reads it.

    What JSON or UTF-8 has no way to write is replaced: NaN and infinity by null, lone surrogates by
    U+FFFD. A number beyond a float stands as text, as it was spelled.
    """
    try:
        option = orjson.OPT_INDENT_2 * indent
        return orjson.dumps(value, default=json_values.shown, option=option).decode()
    except (TypeError, RecursionError):
        return _dump_any(value, indent)


def dump_exact(value: Any) -> str | None:
    """Return the text of `dump_lossy` where `spells` is true of it and of its parts; else None."""
    try:
        return orjson.dumps([value])[1:-1].decode()
    except (TypeError, RecursionError):
        return None


def dump_line(value: Any) -> bytes:
    """Return the text of `dump_lossy` as a line in UTF-8."""
    try:
        return orjson.dumps(value, default=json_values.shown, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, RecursionError):
        return _dump_any(value).encode() + b"\n"


def spells(value: Any, text: str) -> bool:
    """Return whether this very text is what `dump` gives for a value, in a larger document, too."""
    try:
        # In brackets: one level deeper it may be too deep.
        return orjson.dumps([value]) == b"[%b]" % text.encode("utf-8", "surrogatepass")
    except (TypeError, RecursionError):
        pass
    try:
        return dump([value]) == f"[{text}]"
    except InvalidRecordError:
        return False


def load(text: str | bytes) -> Any:
    """Return the value of a JSON document, also of one that orjson alone does not read.

    Integers have any length. Numbers beyond a float and lone surrogates are valid JSON that orjson
    refuses; the former are an `Overflow`.

    Raises:
        ValueError: It is no JSON; NaN and Infinity are not, nor are more than `MAX_DEPTH` levels.
    """
    try:
        raw = text.encode() if isinstance(text, str) else text
        if not _may_have_long_integer(raw):
            return orjson.loads(raw)
    except ValueError:
        pass
    try:
        return json.loads(
            text, parse_constant=_refuse, parse_int=parse_integer, parse_float=parse_float
        )
    except RecursionError as error:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from error


def depth(text: str) -> int:
    """Return an upper bound of a JSON document's levels; exact where it is over `MAX_DEPTH`."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return MAX_DEPTH
    brackets = re.findall(r"[\[\]{}]", _STRING.sub("", text))
    return max(accumulate(1 if bracket in "[{" else -1 for bracket in brackets), default=0)


def to_row(record: Any) -> Row:
    """Return the five columns of a record, validated.

    Raises:
        InvalidRecordError: It is not as its class declares it, a column is not JSON, too deep for
            SQLite to query, or content is a bare number. The message names the field.
    """
    content, metadata = record.stored()
    if isinstance(content, int | float) and not isinstance(content, bool):
        # The column's type is numeric to SQLite: it would make 5 of 5.0.
        raise InvalidRecordError("content is a bare number", hint="put it in an object")
    # No value that orjson writes is too deep for SQLite: it stops at 254 levels.
    return (
        record.id,
        None if content is None else dump_spelled(content),
        dump(metadata),
        clock.to_text(record.created_at),
        None if record.embedding is None else dump(record.embedding),
    )


def as_text(row: Any) -> StoredRow:
    """Return a row as SQLite gave it, with every column but `created_at` as text or None.

    JSON that is a number is one in the table too, for its columns are NUMERIC: its text gives the
    same number again. A BLOB has no spelling in JSON and becomes text, byte for byte where it is.
    """
    id, content, node_metadata, created_at, embedding = row
    if isinstance(created_at, float) and math.isinf(created_at):
        created_at = infinite(created_at)
    elif isinstance(created_at, bytes):
        created_at = _text(created_at)
    return str(_text(id)), _text(content), _text(node_metadata), created_at, _text(embedding)


def from_row(record: type[Any], row: Sequence[Any]) -> Any:
    """Make a record of its five columns, of any age. A column that is no JSON stays text."""
    id, content, metadata, created_at, embedding = row
    return record.from_stored(id, column(content), column(metadata), created_at, column(embedding))


def column(value: Any) -> Any:
    """Return the value of a JSON column; one that is no JSON as it is."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return load(value)
    except ValueError:
        return value


def _may_have_long_integer(raw: bytes) -> bool:
    zeros = raw.translate(_DIGITS_TO_ZEROS)
    at = zeros.find(_LONG_RUN)
    while at >= 0:
        start = at - (zeros[at - 1 : at] == b"-")
        if _LONG_INTEGER.match(raw, start):
            return True
        run = _RUN.match(zeros, at)
        assert run is not None
        at = zeros.find(_LONG_RUN, run.end())
    return False


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, float) and math.isinf(value):
        return infinite(value)
    return repr(value)


def infinite(value: float) -> str:
    """Return an infinite number as SQLite's own .dump writes it."""
    return "9e999" if value > 0 else "-9e999"


def _dumped(value: Any, default: Callable[[Any], Any], *, indent: bool = False) -> str:
    option = orjson.OPT_INDENT_2 if indent else None
    try:
        try:
            text = orjson.dumps(value, default=default, option=option).decode()
        except TypeError:
            # orjson refuses integers beyond 64 bits without asking.
            text = orjson.dumps(json_values.spelled(value), default=default, option=option).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRecordError(f"not JSON ({find_fault(value) or error})") from error
    # orjson writes NaN and the infinities as null: a value would be lost in silence.
    if "null" in text and (fault := find_fault(value)):
        raise InvalidRecordError(f"not JSON ({fault})", hint="put None or text in its place")
    return text


def _dump_any(value: Any, indent: bool = False) -> str:
    layout: dict[str, Any] = {"indent": 2} if indent else {"separators": (",", ":")}
    try:
        text = json.dumps(json_values.writable(value), ensure_ascii=False, **layout)
    except (RecursionError, TypeError):
        text = json.dumps(value, default=str, skipkeys=True, ensure_ascii=False, **layout)
        text = _NO_NUMBER.sub(lambda token: token[0] if token[0][0] == '"' else "null", text)
    return text.encode("utf-8", "replace").decode()


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
